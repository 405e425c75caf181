package tui_test

import (
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/tui"
)

// hostile are names that move cursors, turn text around, or take a width of
// their own.
func hostile() []string {
	return []string{
		"", "north", "\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "\x1b[31;1mred", "\x9b31m", "a\r\nb\tc\x00\x7f", "\u202egnp.exe", "\u2066x\u2069",
		"\u200fשלום", "温室の北側コンパートメント", "👩‍👩‍👧‍👦❤️🇩🇪🏽", "e\u0301\u0301\u0301\u0301", "\u200b\ufeff\u00ad", "\xff\xfe\xc3", "ﷺﷺﷺ", strings.Repeat("很", 70), strings.Repeat("x", 300),
		"한국어", "कृषि", "\u115f\u3164", "\U000e0041\U000f0000", "\u2028\u2029\u0085",
	}
}

func text() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(hostile()), rapid.String())
}

// sgr is the only escape sequence that a frame may hold.
var sgr = regexp.MustCompile(`\x1b\[[0-9;:]*m`)

// whole fails if the frame does not fit the screen or could disturb it.
func whole(t rapid.TB, m *tui.Model, w, h int) {
	t.Helper()
	lines := strings.Split(m.View().Content, "\n")
	if len(lines) != h {
		t.Fatalf("got %d lines on %d×%d", len(lines), w, h)
	}
	for i, l := range lines {
		if a, b := ansi.StringWidth(l), ansi.StringWidthWc(l); a > w || b > w {
			t.Fatalf("line %d takes %d or %d cells of %d: %q", i, a, b, w, l)
		}
		for _, r := range sgr.ReplaceAllString(l, "") {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
				t.Fatalf("line %d holds %U: %q", i, r, l)
			}
		}
	}
}

func odd(t *rapid.T, label string) *float64 {
	if rapid.Bool().Draw(t, label+"?") {
		return nil
	}
	v := rapid.OneOf(rapid.Float64Range(-50, 2000), rapid.SampledFrom([]float64{0, 1, math.MaxFloat64, -math.MaxFloat64, math.Inf(1), math.NaN(), 5e-324, 1e15})).Draw(t, label)
	return &v
}

func instant(t *rapid.T) greenhouse.Millis {
	near := rapid.Int64Range(-7200_000, 600_000)
	return greenhouse.MillisOf(t0()) + greenhouse.Millis(rapid.OneOf(near, near, rapid.Just(-t0().UnixMilli()), rapid.Int64()).Draw(t, "ts"))
}

// anyPoint is in a zone that is, or is not, on the site.
func anyPoint(t *rapid.T) greenhouse.PointID {
	return greenhouse.PointID(rapid.OneOf(rapid.SampledFrom([]string{"north/air_temp", "north/air_temp.2", "north/air_rh", "north/heater", "north/vent", "south/co2", "@ph-x/rssi", "north", ""}),
		rapid.Custom(func(t *rapid.T) string { return "north/" + text().Draw(t, "name") })).Draw(t, "point"))
}

func anyLive(t *rapid.T) api.Live {
	l := api.Live{TS: instant(t), Full: rapid.Bool().Draw(t, "full"), Version: rapid.Uint64Range(0, 3).Draw(t, "version"), Alarms: api.AlarmCounts{Critical: rapid.IntRange(0, 99999).Draw(t, "critical"), Info: 1}, Pending: rapid.IntRange(0, 3).Draw(t, "pending")}
	l.Waits = text().Draw(t, "waits")
	l.Stopped = api.Stopped{All: rapid.Bool().Draw(t, "all"), Zones: []greenhouse.ZoneID{greenhouse.ZoneID(text().Draw(t, "stopped"))}}
	for range rapid.IntRange(0, 12).Draw(t, "points") {
		l.Points = append(l.Points, api.LivePoint{ID: anyPoint(t), Value: odd(t, "value"), TS: instant(t), Quality: greenhouse.Quality(rapid.IntRange(0, 6).Draw(t, "quality"))})
	}
	for range rapid.IntRange(0, 12).Draw(t, "actuators") {
		a := api.Actuator{Point: anyPoint(t), Name: "heater", Online: rapid.Bool().Draw(t, "online"), Level: odd(t, "level"), Reported: odd(t, "reported"), LeaseUntil: instant(t),
			Owner: text().Draw(t, "owner"), Reason: text().Draw(t, "reason"), Since: instant(t), Command: greenhouse.CommandState(text().Draw(t, "command"))}
		if rapid.Bool().Draw(t, "override") {
			a.Override = &api.Override{By: text().Draw(t, "by"), Reason: text().Draw(t, "reason"), ExpiresAt: instant(t)}
		}
		l.Actuators = append(l.Actuators, a)
	}
	l.Zones = append(l.Zones, api.LiveZone{ID: "north", Mode: greenhouse.Mode(text().Draw(t, "mode")), Alarms: 3, AlarmSeverity: greenhouse.Severity(text().Draw(t, "severity")), Failing: text().Draw(t, "failing")})
	l.Removed = append(l.Removed, rapid.SampledFrom([]string{"", "zone/south", "node/x", "point/north/air_temp", "rubbish"}).Draw(t, "removed"))
	return l
}

// anyRecords fills a fake with records of hostile names.
func anyRecords(t *rapid.T, f *fake) {
	str := func(label string) string { return text().Draw(t, label) }
	f.site = api.Site{SiteSpec: api.SiteSpec{Name: str("site"), TimeZone: rapid.SampledFrom([]string{"", "UTC", "Mars/North", "America/New_York"}).Draw(t, "tz")}}
	f.zones, f.nodes, f.alarms = nil, nil, nil
	for i := range rapid.IntRange(0, 40).Draw(t, "zones") {
		z := gardenZone(greenhouse.ZoneID([]string{"north", "south", str("zone")}[min(i, 2)]), str("name"), str("crop"))
		z.DayFrom, z.Mode, z.Alarms, z.AlarmSeverity = greenhouse.DayEdge(rapid.SampledFrom([]string{"06:30", "22:00", "sunrise", "\x1b[2J"}).Draw(t, "edge")), "auto", i, "critical"
		z.Targets[greenhouse.Heating] = greenhouse.Target{Day: rapid.Float64().Draw(t, "day"), Night: 16}
		f.zones = append(f.zones, z)
	}
	for range rapid.IntRange(0, 30).Draw(t, "nodes") {
		f.nodes = append(f.nodes, api.Node{UID: greenhouse.UID(str("uid")), Name: str("name"), Zone: "north", FW: str("fw"), LastSeen: instant(t), RSSI: odd(t, "rssi"), UptimeS: odd(t, "uptime"), Address: str("address"),
			Config: greenhouse.ConfigState{Status: greenhouse.ConfigStatus(str("status")), Error: str("error")}, Channels: []api.Channel{{Name: "brix", Unit: greenhouse.Unit(str("unit")), Point: anyPoint(t)}}})
	}
	for range rapid.IntRange(0, 30).Draw(t, "alarms") {
		f.alarms = append(f.alarms, api.Alarm{ID: str("id"), Source: greenhouse.Source(str("source")), Code: str("code"), Severity: greenhouse.Warning, Text: str("text"), FirstSeen: instant(t), ShelvedUntil: instant(t)})
	}
	f.why = api.Why{Text: str("why"), Value: odd(t, "why value"), Since: instant(t), Winner: greenhouse.Claim{Owner: str("winner"), Reason: str("reason")}, Terms: map[string]float64{str("term"): 1},
		Inputs: []api.WhyInput{{Point: greenhouse.PointID(str("input")), AgeS: math.Inf(1)}}}
	for range rapid.IntRange(0, 60).Draw(t, "losers") {
		f.why.Losers = append(f.why.Losers, greenhouse.Claim{Owner: str("loser"), Reason: str("reason")})
	}
}

func TestAnyFrameIsWhole(t *testing.T) {
	keys := []string{"enter", "esc", "tab", "up", "down", "left", "right", "home", "end", "pgdown", "1", "2", "3", "4", "a", "s", "t", "m", "o", "w", "c", "r", "?", "/", ":", "y", "n", "p", "+", "-", "0",
		"30% 1h why", "heating 19", "manual", "north/air_temp", "release", "backspace"}
	rapid.Check(t, func(t *rapid.T) {
		f := newFake()
		f.called = make(chan struct{}, 4096)
		d := &desk{now: t0()}
		d.m = tui.New(t.Context(), f, tui.Options{Now: func() time.Time { return d.now }, Location: time.UTC, ASCII: rapid.Bool().Draw(t, "ascii")})
		w, h := 80, 24
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0:
				w, h = rapid.IntRange(1, 200).Draw(t, "w"), rapid.IntRange(1, 70).Draw(t, "h")
				d.send(tea.WindowSizeMsg{Width: w, Height: h})
			case 1:
				anyRecords(t, f)
				d.send(tui.Live(anyLive(t)))
			case 2:
				detail, _ := json.Marshal(map[string]string{"text": text().Draw(t, "detail")})
				d.send(tui.Events([]api.Event{{Seq: rapid.Uint64().Draw(t, "seq"), TS: instant(t), Code: text().Draw(t, "code"), Source: greenhouse.Source(text().Draw(t, "source")), Actor: text().Draw(t, "actor"), Detail: detail}}))
			case 3:
				d.now = d.now.Add(time.Duration(rapid.Int64Range(0, 1e13).Draw(t, "later")))
				d.send(tui.Lost(greenhouse.Unavailable("x", "%s", text().Draw(t, "error"))))
			case 4:
				d.send(tea.PasteMsg{Content: text().Draw(t, "paste")})
			default:
				d.press(rapid.SampledFrom(keys).Draw(t, "key"))
			}
			whole(t, d.m, w, h)
		}
	})
}

func TestTextIsMadeSafe(t *testing.T) {
	for in, want := range map[string]string{
		"north house": "north house", "\x1b[2Jnorth": "north", "\u202egnp.exe": "·gnp.exe", "a\nb": "a·b", "a\u0301": "a\u0301", "❤️": "❤", "Größe": "Größe", "温室": "温室",
	} {
		if got := tui.Safe(in); got != want {
			t.Errorf("got %q for %q, want %q", got, in, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s, n := text().Draw(t, "text"), rapid.IntRange(0, 60).Draw(t, "cells")
		if got := ansi.StringWidth(tui.Fit(tui.Safe(s), n)); got != n {
			t.Fatalf("got %d cells for %q, want %d", got, s, n)
		}
		if out := tui.Ascii(tui.Safe(s)); strings.ContainsFunc(out, func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Fatalf("got %q, which is not ASCII", out)
		}
	})
}
