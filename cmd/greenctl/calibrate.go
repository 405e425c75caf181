package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// calFlags are the flags of node calibrate.
type calFlags struct {
	points             []string
	gain, offset       string
	coefficient        string
	tempChannel        string
	reference          float64
	edge, node, review bool
	every              time.Duration
	note               string
	w                  writeFlags
}

func newNodeCalibrate(a *app) *cobra.Command {
	var f calFlags
	c := verb("calibrate UID CHANNEL", "Calibrate a sensor: guided on a terminal, or by flags",
		`  greenctl node calibrate ph-a4cf12b3de01 solution_ph
  greenctl node calibrate ph-a4cf12b3de01 solution_ph --point 7.12=7.00 --point 4.21=4.01 --every 30d
  greenctl node calibrate ec-a4cf12b3de02 solution_ec --point 1.36=1.413 --temp-coefficient 2 --temp-channel solution_temp
  greenctl node calibrate climate-a4cf12b3de03 air_temp --offset -0.3`, args("UID", "CHANNEL"), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		uid, err := uidArg(args[0])
		if err != nil {
			return err
		}
		ch, err := greenhouse.ParseChannelName(args[1])
		if err != nil {
			return err
		}
		now, err := cl.Calibration(ctx, uid, ch)
		if err != nil {
			return err
		}
		if f.review {
			return a.showCalibrations(now)
		}
		r, err := f.request(c)
		if err != nil {
			return err
		}
		if len(r.Points) == 0 && r.Cal == nil && r.Comp == nil {
			if r.Points, err = a.guide(ctx, cl, now); err != nil {
				return err
			}
		}
		made, err := cl.Calibrate(ctx, uid, ch, r, f.w.edit(now.Version))
		if err != nil {
			return explainStale(err, now, nil)
		}
		return a.showCalibration(made)
	})
	fl := c.Flags()
	fl.StringArrayVar(&f.points, "point", nil, "raw=reference: what the sensor says, uncorrected, of a known value; may be given again")
	fl.StringVar(&f.offset, "offset", "", "instead of points: this is added to the raw value")
	fl.StringVar(&f.gain, "gain", "", "instead of points: the raw value is multiplied by this")
	fl.StringVar(&f.coefficient, "temp-coefficient", "", "temperature compensation, % a kelvin; 0 takes it away")
	fl.StringVar(&f.tempChannel, "temp-channel", "solution_temp", "the channel of the node that it is compensated by")
	fl.Float64Var(&f.reference, "temp-reference", 25, "°C that values are referred to")
	fl.BoolVar(&f.edge, "edge", false, "the daemon applies it, for the node cannot")
	fl.BoolVar(&f.node, "on-node", false, "the node applies it, as it usually does")
	fl.BoolVar(&f.review, "history", false, "show the calibrations there were")
	spanVar(fl, &f.every, "every", 0, "due again after that, in days: 30d; if not said, as the point asks")
	fl.StringVar(&f.note, "note", "", "kept with the record: batch of the buffer, who helped")
	f.w.add(fl)
	return c
}

// request makes the request that the flags ask for.
func (f *calFlags) request(c *cobra.Command) (r api.CalibrationRequest, err error) {
	r.Note = f.note
	for _, text := range f.points {
		p, err := calPoint(text)
		if err != nil {
			return r, err
		}
		r.Points = append(r.Points, p)
	}
	if f.gain != "" || f.offset != "" {
		r.Cal = &greenhouse.Linear{Gain: 1}
		for _, x := range []struct {
			name, text string
			into       *float64
		}{{"gain", f.gain, &r.Cal.Gain}, {"offset", f.offset, &r.Cal.Offset}} {
			if x.text == "" {
				continue
			}
			if *x.into, err = strconv.ParseFloat(x.text, 64); err != nil {
				return r, greenhouse.Invalid("usage", "--%s %q is no number", x.name, x.text)
			}
		}
	}
	if f.coefficient != "" {
		percent, err := strconv.ParseFloat(f.coefficient, 64)
		if err != nil {
			return r, greenhouse.Invalid("usage", "--temp-coefficient %q is no number", f.coefficient)
		}
		r.Comp = &greenhouse.Compensation{PerK: percent / 100, RefC: f.reference, Channel: greenhouse.ChannelName(f.tempChannel)}
	}
	if f.edge && f.node {
		return r, greenhouse.Invalid("usage", "--edge and --on-node exclude each other")
	}
	if f.edge || f.node {
		r.Edge = &f.edge
	}
	if c.Flags().Changed("every") {
		days := int(math.Round(f.every.Hours() / 24))
		r.EveryDays = &days
	}
	return r, nil
}

// calPoint reads raw=reference.
func calPoint(text string) (p greenhouse.CalPoint, err error) {
	raw, ref, ok := strings.Cut(text, "=")
	bad := greenhouse.Invalid("usage", "--point %q is not raw=reference", text).WithHint("what the sensor says, =, what it should say: --point 7.12=7.00")
	if !ok {
		return p, bad
	}
	if p.Raw, err = strconv.ParseFloat(raw, 64); err != nil {
		return p, bad
	}
	if p.Ref, err = strconv.ParseFloat(ref, 64); err != nil {
		return p, bad
	}
	return p, nil
}

// The guide waits until a reading is still: so many samples in a row that differ
// by no more than a little.
const (
	stillSamples = 5
	stillMost    = 5 * time.Minute
	stillPoll    = time.Second
)

// stillBand is how far samples of a quantity may differ and count as still.
func stillBand(ch greenhouse.ChannelName) float64 {
	switch ch {
	case "solution_ph":
		return 0.02
	case "solution_ec":
		return 0.02
	}
	if s, ok := greenhouse.StandardChannel(ch); ok && s.Max > s.Min {
		return (s.Max - s.Min) / 500
	}
	return math.Inf(1)
}

// guide takes points one after the other: asks for the reference, shows the raw
// value until it is still, and goes on until an empty answer.
func (a *app) guide(ctx context.Context, c *client.Client, now api.ChannelCal) ([]greenhouse.CalPoint, error) {
	switch {
	case !isTerminal(a.in) || !isTerminal(a.err):
		return nil, greenhouse.Invalid("usage", "there is no terminal for a guided calibration").WithHint("give the points: --point raw=reference")
	case !now.Online:
		return nil, greenhouse.Unavailable("node_offline", "%s is offline: there is nothing to read", now.Node)
	case now.Pending:
		return nil, greenhouse.Unavailable("config_pending", "%s has not taken its configuration yet, so its raw value is not known", now.Node).WithHint("greenctl node config %s", now.Node)
	}
	a.note("%s %s, now %s (raw %s). One reference moves the value, two or more also stretch it.", now.Node, now.Channel, number(now.Value, now.Unit), number(now.Raw, ""))
	lines := bufio.NewReader(a.in)
	var points []greenhouse.CalPoint
	for {
		fmt.Fprintf(a.err, "reference %d, in %s (empty: that is all): ", len(points)+1, unitText(now.Unit))
		text, err := ask(ctx, lines)
		if err != nil {
			return nil, err
		}
		if text == "" {
			if len(points) == 0 {
				return nil, &greenhouse.Error{Code: "declined", What: "nothing was changed"}
			}
			return points, nil
		}
		ref, err := strconv.ParseFloat(text, 64)
		if err != nil {
			a.note("%q is no number", text)
			continue
		}
		raw, err := a.still(ctx, c, now)
		if err != nil {
			return nil, err
		}
		points = append(points, greenhouse.CalPoint{Raw: raw, Ref: ref})
		if cal, err := greenhouse.Calibrate(now.Channel, points); err == nil {
			a.note("raw %.5g is %.5g: %s", raw, ref, cal)
		} else {
			a.note("raw %.5g is %.5g: %v", raw, ref, err)
		}
	}
}

// calWord says in a word how a calibration stands.
func calWord(c *api.PointCal) string {
	if c == nil || c.Status == api.CalNone {
		return "-"
	}
	return string(c.Status)
}

func unitText(u greenhouse.Unit) string {
	if u == "" {
		return "its own unit"
	}
	return string(u)
}

// ask reads one line; Ctrl-C ends it.
func ask(ctx context.Context, lines *bufio.Reader) (string, error) {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := lines.ReadString('\n')
		got <- answer{strings.TrimSpace(text), err}
	}()
	select {
	case <-ctx.Done():
		return "", errInterrupted
	case x := <-got:
		if x.err != nil { // Ctrl-D
			return "", errInterrupted
		}
		return x.text, nil
	}
}

// still shows the raw value until it is still and returns the mean of the last
// samples.
func (a *app) still(ctx context.Context, c *client.Client, now api.ChannelCal) (float64, error) {
	var window []float64
	var last greenhouse.Millis
	band := stillBand(now.Channel)
	deadline := time.Now().Add(stillMost)
	for {
		v, err := c.Calibration(ctx, now.Node, now.Channel)
		if err != nil {
			return 0, err
		}
		if v.Raw != nil && v.TS > last {
			last = v.TS
			window = append(window, *v.Raw)
			window = window[max(0, len(window)-stillSamples):]
			spread, mean := spreadOf(window)
			fmt.Fprintf(a.err, "\r  raw %.5g  ±%.3g  %d of %d   ", *v.Raw, spread/2, len(window), stillSamples)
			if len(window) == stillSamples && spread <= band {
				fmt.Fprintln(a.err)
				return mean, nil
			}
		}
		if time.Now().After(deadline) {
			fmt.Fprintln(a.err)
			return 0, greenhouse.Unavailable("not_still", "the value did not come to rest within %s", stillMost).WithHint("stir, wait, and begin again; or give the points by --point")
		}
		select {
		case <-ctx.Done():
			fmt.Fprintln(a.err)
			return 0, errInterrupted
		case <-time.After(stillPoll):
		}
	}
}

// spreadOf returns the spread and mean of some values.
func spreadOf(v []float64) (spread, mean float64) {
	lo, hi, sum := v[0], v[0], 0.0
	for _, x := range v {
		lo, hi, sum = min(lo, x), max(hi, x), sum+x
	}
	return hi - lo, sum / float64(len(v))
}

func (a *app) showCalibration(r api.Calibration) error {
	return a.show(r, view{names: func() []string { return []string{string(r.Channel)} }, table: func() table { return a.calTable([]api.Calibration{r}) }})
}

func (a *app) showCalibrations(c api.ChannelCal) error {
	return a.show(c, view{names: func() []string { return names(c.Records, func(r api.Calibration) string { return itoa(r.Version) }) },
		table: func() table { return a.calTable(c.Records) }})
}

func (a *app) calTable(records []api.Calibration) table {
	t := table{columns: []string{"NO", "MADE", "BY", "METHOD", "RESULT", "DUE", "POINT", "NOTE"}, wide: 2, empty: "it was never calibrated"}
	for _, r := range records {
		due := "never"
		if r.DueAt != 0 {
			due = clock(r.DueAt)
		}
		result := r.Calibration.String()
		if r.Comp != nil {
			result += fmt.Sprintf(", %.2g %%/K to %g °C", r.Comp.PerK*100, r.Comp.RefC)
		}
		t.rows = append(t.rows, []string{itoa(r.Version), clock(r.At), r.By, string(r.CalMark.Method), result, due, string(r.Point), r.Note})
	}
	return t
}

func newPointBind(a *app) *cobra.Command {
	var w writeFlags
	var exchange bool
	c := verb("bind POINT UID CHANNEL", "Bind a point to another channel of a node in its zone", "  greenctl point bind north/air_temp climate-a4cf12b3de01 air_temp_2\n  greenctl point bind north/air_temp climate-a4cf12b3de02 air_temp --exchange", args("POINT", "UID", "CHANNEL"),
		a.with(func(ctx context.Context, c *client.Client, args []string) error {
			id, err := pointArg(args[0])
			if err != nil {
				return err
			}
			uid, err := uidArg(args[1])
			if err != nil {
				return err
			}
			ch, err := greenhouse.ParseChannelName(args[2])
			if err != nil {
				return err
			}
			p, err := c.BindPoint(ctx, id, api.BindRequest{Node: uid, Channel: ch, Exchange: exchange}, w.write())
			if err != nil {
				return explainStale(err, nil, map[string]any{"node": uid, "channel": ch})
			}
			return a.show(p, a.pointsView([]api.Point{p}))
		}))
	c.Flags().BoolVar(&exchange, "exchange", false, "whoever holds the point gets what the channel fed before")
	w.add(c.Flags())
	c.ValidArgsFunction = a.complete(pointNames)
	return c
}
