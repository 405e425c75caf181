package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newZoneEdit(a *app) *cobra.Command {
	var w writeFlags
	var name, crop, dayFrom, dayUntil string
	var area float64
	var limits []string
	c := verb("edit ID", "Change a zone; without flags, in your editor", "  greenctl zone edit north --crop cucumber --area 120\n  greenctl zone edit north", args("ID"), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		id, err := zoneArg(args[0])
		if err != nil {
			return err
		}
		before, err := cl.Zone(ctx, id)
		if err != nil {
			return err
		}
		p, f := api.ZonePatch{}, c.Flags()
		if f.Changed("name") {
			p.Name = &name
		}
		if f.Changed("crop") {
			p.Crop = &crop
		}
		if f.Changed("area") {
			p.AreaM2 = &area
		}
		if f.Changed("day-from") {
			p.DayFrom = (*greenhouse.DayEdge)(&dayFrom)
		}
		if f.Changed("day-until") {
			p.DayUntil = (*greenhouse.DayEdge)(&dayUntil)
		}
		if p.NodeLimits, err = nodeLimits(limits); err != nil {
			return err
		}
		var patch any = p
		if reflect.ValueOf(p).IsZero() {
			edited, err := a.editRecord(before.ZoneSpec)
			if err != nil || edited == nil {
				return err
			}
			patch = edited
			ctx = context.WithoutCancel(ctx) // a Ctrl-C pressed in the editor was not meant for us
		}
		z, err := cl.EditZone(ctx, id, patch, w.edit(before.Version))
		if err != nil {
			return explainStale(err, before, patch)
		}
		return a.showZone(z)
	})
	c.Flags().StringVar(&name, "name", "", "what people call it")
	c.Flags().StringVar(&crop, "crop", "", "what grows in it")
	c.Flags().Float64Var(&area, "area", 0, "m²")
	c.Flags().StringArrayVar(&limits, "limit", nil, "most nodes of a type, ph=2; 0 for any number, ph=default for the usual one; may be given again")
	c.Flags().StringVar(&dayFrom, "day-from", "", "when day begins: 06:30, or sunrise-0:30")
	c.Flags().StringVar(&dayUntil, "day-until", "", "when night begins: 20:00, or sunset+0:30")
	w.add(c.Flags())
	c.ValidArgsFunction = a.complete(zoneNames)
	return c
}

// nodeLimits reads TYPE=N or TYPE=default.
func nodeLimits(texts []string) (map[greenhouse.NodeType]*int, error) {
	var limits map[greenhouse.NodeType]*int
	for _, text := range texts {
		name, most, ok := strings.Cut(text, "=")
		t, err := greenhouse.ParseNodeType(name)
		if err != nil {
			return nil, err
		}
		if limits == nil {
			limits = map[greenhouse.NodeType]*int{}
		}
		if most == "default" {
			limits[t] = nil
			continue
		}
		n, err := strconv.Atoi(most)
		if !ok || err != nil {
			return nil, greenhouse.Invalid("usage", "--limit %q is not TYPE=NUMBER", text)
		}
		limits[t] = &n
	}
	return limits, nil
}

// editNode opens what people may set of a node in their editor.
func (a *app) editNode(ctx context.Context, c *client.Client, before api.Node, w *writeFlags) error {
	spec := api.NodeSpec{Name: before.Name, Labels: before.Labels, IntervalS: before.IntervalS, LinkLossS: before.LinkLossS}
	patch, err := a.editRecord(spec)
	if err != nil || patch == nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // a Ctrl-C pressed in the editor was not meant for us
	n, err := c.EditNode(ctx, before.UID, patch, w.edit(before.Version))
	if err != nil {
		return explainStale(err, before, patch)
	}
	return a.showNode(n)
}

// editRecord lets the person edit v as YAML in $VISUAL or $EDITOR and returns
// what changed as a merge patch, nil for nothing. Ctrl-C is the editor's.
func (a *app) editRecord(v any) (map[string]any, error) {
	if !isTerminal(a.in) {
		return nil, greenhouse.Invalid("usage", "there is no terminal for an editor").WithHint("say what to change with flags; --help lists them")
	}
	var text bytes.Buffer
	if err := writeYAML(&text, v); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "greenctl-*.yaml")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }() // in the directory for temporary files
	if _, err := f.Write(text.Bytes()); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", "-c", "exec "+editor()+` "$1"`, "sh", f.Name())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, &greenhouse.Error{Code: "editor_failed", What: fmt.Sprintf("the editor %q ended with: %v; nothing was changed", editor(), err), Hint: "set EDITOR"}
	}
	edited, err := os.ReadFile(f.Name())
	if err != nil {
		return nil, err
	}
	patch, err := mergePatch(text.Bytes(), edited)
	if err == nil && len(patch) == 0 {
		a.note("nothing was changed")
		return nil, nil
	}
	return patch, err
}

func editor() string {
	for _, k := range []string{"VISUAL", "EDITOR"} {
		if e := os.Getenv(k); e != "" {
			return e
		}
	}
	return "vi"
}

// mergePatch returns the JSON merge patch (RFC 7396) from one YAML text to another.
func mergePatch(before, after []byte) (map[string]any, error) {
	var b, c map[string]any
	if err := yaml.Unmarshal(before, &b); err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(after, &c); err != nil {
		return nil, greenhouse.Invalid("yaml_invalid", "what you wrote is not YAML: %v", err)
	}
	return mapPatch(b, c), nil
}

func mapPatch(b, c map[string]any) map[string]any {
	p := map[string]any{}
	for k, v := range c {
		was, had := b[k]
		wm, ok1 := was.(map[string]any)
		vm, ok2 := v.(map[string]any)
		switch {
		case ok1 && ok2:
			if sub := mapPatch(wm, vm); len(sub) > 0 {
				p[k] = sub
			}
		case !had || !reflect.DeepEqual(was, v):
			p[k] = v
		}
	}
	for k := range b {
		if _, kept := c[k]; !kept {
			p[k] = nil
		}
	}
	return p
}

// raceError is an edit that lost a race, with what it was about.
type raceError struct {
	error
	diff []string // one line for each field
}

func (e *raceError) Unwrap() error { return e.error }

// explainStale adds to an edit that lost a race what changed meanwhile, where
// read is the version that the person had, else what the edit would overwrite.
func explainStale(err error, read, wanted any) error {
	var s *greenhouse.StaleError
	if !errors.As(err, &s) || s.Current == nil {
		return err
	}
	is, e1 := flatten(s.Current)
	was, e2 := flatten(read)
	want, e3 := flatten(wanted)
	if e1 != nil || e2 != nil || e3 != nil {
		return err // the error itself says enough
	}
	race := &raceError{error: err}
	defer func() { race.diff = append(race.diff, sinceLines(s.Changes, len(race.diff) == 0)...) }()
	if was["version"] == fmt.Sprint(s.Had) {
		for _, k := range slices.Sorted(maps.Keys(is)) {
			if old, ok := was[k]; ok && old != is[k] && !volatile(k) {
				race.diff = append(race.diff, fmt.Sprintf("%s was %s, is %s", k, old, is[k]))
			}
		}
		return race
	}
	if wanted == nil {
		return race
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		now, ok := is[k]
		if !ok {
			now = "not set"
		}
		if now != want[k] {
			race.diff = append(race.diff, fmt.Sprintf("%s is %s, you want %s", k, now, want[k]))
		}
	}
	return race
}

// sinceLines says who changed the record meanwhile and, where nothing else tells,
// what they changed.
func sinceLines(changes []greenhouse.Change, whole bool) (lines []string) {
	for _, c := range changes {
		who := fmt.Sprintf("%s by %s at %s", c.Code, c.Actor, clock(c.TS))
		if !whole {
			lines = append(lines, who)
			continue
		}
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(c.After)) {
			switch was, had := c.Before[k]; {
			case len(was)+len(c.After[k]) > 120:
				parts = append(parts, k+" changed")
			case had:
				parts = append(parts, fmt.Sprintf("%s was %s, became %s", k, was, c.After[k]))
			default:
				parts = append(parts, fmt.Sprintf("%s became %s", k, c.After[k]))
			}
		}
		lines = append(lines, strings.Join(append([]string{who}, parts...), "; "))
	}
	return lines
}

// volatile reports whether a field changes by itself.
func volatile(k string) bool {
	for _, p := range []string{"version", "updated_at", "last_seen", "climate", "actuators", "channels", "online", "rssi", "uptime", "decided"} {
		if strings.HasPrefix(k, p) {
			return true
		}
	}
	return false
}

// flatten returns the leaves of v's JSON form by path.
func flatten(v any) (map[string]string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var x any
	if err := json.Unmarshal(raw, &x); err != nil {
		return nil, err
	}
	out := map[string]string{}
	var walk func(path string, x any)
	walk = func(path string, x any) {
		if m, ok := x.(map[string]any); ok {
			for k, v := range m {
				walk(strings.TrimPrefix(path+"."+k, "."), v)
			}
			return
		}
		b, _ := json.Marshal(x) // came from JSON
		out[path] = string(b)
	}
	walk("", x)
	return out, nil
}
