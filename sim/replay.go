package sim

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"greenhouse"
	"greenhouse/wire"
)

// Account is the login of a node that joined.
type Account struct {
	UID    greenhouse.UID
	Secret string
	Dialer Dialer
}

// Sent is what a replay sent, for asking the daemon what became of it.
type Sent struct {
	UID      greenhouse.UID
	Channels []greenhouse.ChannelName
	From, To greenhouse.Millis // of the first and the last sample
	Samples  int64
}

// ReplayOptions say what to replay and where to.
type ReplayOptions struct {
	CSV        io.Reader // with a header
	HardwareID greenhouse.HardwareID
	Map        map[string]greenhouse.ChannelName // from columns
	TimeColumn string
	TimeFormat string         // a Go layout, or strftime where it has a "%"
	Zone       *time.Location // of times without an offset; nil is UTC
	Speed      float64        // times faster than the data; 0 is as fast as it goes

	// Join makes the node known and returns its login. It is called once, after
	// the header was understood.
	Join func(ctx context.Context, hello wire.Hello) (Account, error)
	// Outcome asks the daemon how many of the samples it stored, and how many it
	// refused; it is called once, when all is acknowledged. Nil leaves both at
	// what is known here.
	Outcome func(ctx context.Context, sent Sent) (stored, refused int64, err error)

	Now    func() time.Time // nil is time.Now
	Log    *slog.Logger     // nil logs nothing
	Window int              // messages without PUBACK at most; 0 is 32
	Batch  int              // rows in one message at full speed; 0 is 100
	Boot   string           // the boot id of this run; "" makes one of the time
}

// Accounting is what became of the rows. Stored and Refused count samples, as
// Sent and Acked do; a value that is no number, and every value of a row
// without a time, is refused here and not sent.
type Accounting struct {
	Rows    int64 `json:"rows"`
	Sent    int64 `json:"sent"`
	Acked   int64 `json:"acked"`
	Stored  int64 `json:"stored"`
	Refused int64 `json:"refused"`
}

// Replay sends a table as the telemetry of one node, with the times of the
// table, and returns when all of it is acknowledged. An empty cell is no
// sample; NaN, NA and null are a failed read. A lost link is opened again, and
// what was not acknowledged is sent again, as often as ctx lasts. The
// accounting is right also where there is an error.
func Replay(ctx context.Context, o ReplayOptions) (Accounting, error) {
	o = o.withDefaults()
	r := &replay{o: o, rows: csv.NewReader(o.CSV)}
	if err := r.header(); err != nil {
		return r.sum, err
	}
	var err error
	if r.account, err = o.Join(ctx, r.hello()); err != nil {
		return r.sum, err
	}
	r.courier = newCourier(o, r.account)
	err = r.run(ctx)
	r.sum.Acked = r.courier.finish(ctx, err == nil)
	if err == nil && ctx.Err() == nil {
		err = r.outcome(ctx)
	}
	return r.sum, errors.Join(err, ctx.Err())
}

// withDefaults fills in what is zero.
func (o ReplayOptions) withDefaults() ReplayOptions {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Window == 0 {
		o.Window = 32
	}
	if o.Batch == 0 || o.Speed > 0 {
		o.Batch = 100
	}
	if o.Boot == "" {
		o.Boot = "r" + strconv.FormatInt(o.Now().UnixMilli(), 36)
	}
	return o
}

// replay is one run.
type replay struct {
	o       ReplayOptions
	rows    *csv.Reader
	stamps  *stamps
	timeAt  int
	columns []column
	account Account
	courier *courier
	sum     Accounting
	sent    Sent
	began   time.Time // of the run
	first   time.Time // of the data
	batch   []wire.Sample
	batched int // rows in batch
	seq     uint64
}

// column is a column that is sent.
type column struct {
	at   int
	name greenhouse.ChannelName
}

// header reads the first row and finds the columns.
func (r *replay) header() error {
	r.rows.ReuseRecord, r.rows.FieldsPerRecord = true, -1
	row, err := r.rows.Read()
	if err != nil {
		return greenhouse.Invalid("csv_invalid", "read the header: %v", err)
	}
	names := make([]string, len(row))
	for i, cell := range row {
		names[i] = strings.TrimSpace(strings.TrimPrefix(cell, "\ufeff"))
	}
	if r.stamps, err = newStamps(r.o.TimeFormat, r.o.Zone); err != nil {
		return err
	}
	if r.timeAt, err = find(names, r.o.TimeColumn); err != nil {
		return err
	}
	for name, channel := range r.o.Map {
		at, err := find(names, name)
		if err != nil {
			return err
		}
		r.columns = append(r.columns, column{at, channel})
		r.sent.Channels = append(r.sent.Channels, channel)
	}
	slices.SortFunc(r.columns, func(a, b column) int { return a.at - b.at })
	slices.Sort(r.sent.Channels)
	return r.checkChannels()
}

// checkChannels refuses a map that is empty or names a channel badly.
func (r *replay) checkChannels() error {
	if len(r.columns) == 0 {
		return greenhouse.Invalid("map_missing", "no column is mapped to a channel").WithHint("--map takes COLUMN=channel,…")
	}
	for i, c := range r.sent.Channels {
		if _, err := greenhouse.ParseChannelName(string(c)); err != nil {
			return err
		}
		if i > 0 && c == r.sent.Channels[i-1] {
			return greenhouse.Invalid("map_invalid", "two columns are mapped to channel %s", c)
		}
	}
	return nil
}

// find returns the place of a column.
func find(names []string, name string) (int, error) {
	if i := slices.Index(names, strings.TrimSpace(name)); i >= 0 {
		return i, nil
	}
	return 0, greenhouse.Invalid("column_unknown", "the table has no column %q", name).
		WithHint("it has %s", strings.Join(names, ", "))
}

// hello says what the node has. A channel that is not standard is a sensor.
func (r *replay) hello() wire.Hello {
	h := wire.Hello{HardwareID: r.o.HardwareID, Type: greenhouse.TypeMulti, FW: "replay"}
	for _, c := range r.sent.Channels {
		kind := greenhouse.Sensor
		if spec, standard := greenhouse.StandardChannel(c); standard {
			kind = spec.Kind
		}
		h.Channels = append(h.Channels, wire.HelloChannel{Name: c, Kind: kind})
	}
	return h
}

// run sends all rows.
func (r *replay) run(ctx context.Context) error {
	r.began = r.o.Now()
	for ctx.Err() == nil {
		row, err := r.rows.Read()
		if err == io.EOF {
			return r.flush(ctx)
		}
		var syntax *csv.ParseError
		if err != nil && !errors.As(err, &syntax) {
			return greenhouse.Unavailable("csv_unreadable", "read the table: %v", err)
		}
		r.sum.Rows++
		if err != nil {
			r.refuse("row cannot be read", err)
			continue
		}
		if err := r.row(ctx, row); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// refuse counts the values of a row that cannot be sent. Only the first row is
// worth an end: it shows a wrong format.
func (r *replay) refuse(message string, err error) {
	r.sum.Refused += int64(len(r.columns))
	r.o.Log.Warn(message, "row", r.sum.Rows, "err", err)
}

// row sends one row.
func (r *replay) row(ctx context.Context, row []string) error {
	text := ""
	if r.timeAt < len(row) {
		text = row[r.timeAt]
	}
	at, err := r.stamps.next(text)
	switch {
	case err != nil && r.sum.Rows == 1:
		return err
	case err != nil:
		r.refuse("row has no time", err)
		return nil
	}
	if err := r.pace(ctx, at); err != nil {
		return err
	}
	for _, c := range r.columns {
		if c.at < len(row) {
			r.cell(c.name, row[c.at], greenhouse.MillisOf(at))
		}
	}
	r.batched++
	if r.batched >= r.o.Batch || len(r.batch) >= 1000 {
		return r.flush(ctx)
	}
	return nil
}

// cell adds one value to the batch.
func (r *replay) cell(name greenhouse.ChannelName, text string, at greenhouse.Millis) {
	s := wire.Sample{Channel: name, At: at, HasAt: true}
	switch text = strings.TrimSpace(text); strings.ToLower(text) {
	case "":
		return
	case "nan", "na", "null":
		s.Null = true
	case "true":
		s.Value = 1
	case "false":
	default:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(v, 0) {
			r.sum.Refused++
			r.o.Log.Warn("value is no number", "row", r.sum.Rows, "channel", name)
			return
		}
		s.Value = v
	}
	if r.sent.From == 0 || at < r.sent.From {
		r.sent.From = at
	}
	r.sent.To = max(r.sent.To, at)
	r.batch = append(r.batch, s)
}

// pace waits until a row is due, and sends what was due before it.
func (r *replay) pace(ctx context.Context, at time.Time) error {
	if r.first.IsZero() {
		r.first = at
	}
	if r.o.Speed == 0 {
		return nil
	}
	due := r.began.Add(time.Duration(float64(at.Sub(r.first)) / r.o.Speed))
	left := due.Sub(r.o.Now())
	if left <= 0 {
		return nil
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	return r.courier.wait(ctx, left)
}

// flush sends the batch.
func (r *replay) flush(ctx context.Context) error {
	r.batched = 0
	if len(r.batch) == 0 {
		return nil
	}
	r.seq++
	msg := wire.Telemetry{Boot: r.o.Boot, Seq: r.seq, HasSeq: true, Samples: r.batch}
	payload := wire.AppendTelemetry(nil, &msg)
	n := int64(len(r.batch))
	r.batch = r.batch[:0]
	if err := r.courier.send(ctx, payload, n); err != nil {
		return err
	}
	r.sum.Sent += n
	return nil
}

// outcome asks the daemon what became of the samples.
func (r *replay) outcome(ctx context.Context) error {
	r.sent.UID, r.sent.Samples = r.account.UID, r.sum.Sent
	if r.o.Outcome == nil || r.sum.Sent == 0 {
		return nil
	}
	stored, refused, err := r.o.Outcome(ctx, r.sent)
	r.sum.Stored = stored
	r.sum.Refused += refused
	return err
}
