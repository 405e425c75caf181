package broker_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"greenhouse/broker"
)

func TestMatches(t *testing.T) {
	f := func(filter, topic string, want bool) {
		t.Helper()
		if got := broker.Matches(filter, topic); got != want {
			t.Errorf("%q matches %q: got %v, want %v", filter, topic, got, want)
		}
	}
	f("a/b", "a/b", true)
	f("a/b", "a/b/c", false)
	f("a/b/c", "a/b", false)
	f("a/+", "a/b", true)
	f("a/+", "a/", true)
	f("a/+", "a", false)
	f("+", "a", true)
	f("+", "/a", false)
	f("+/+", "/a", true)
	f("#", "a/b/c", true)
	f("a/#", "a", true)
	f("a/#", "a/b/c", true)
	f("a/#", "ab", false)
	f("a/+/#", "a", false)
	f("a/+/#", "a/b", true) // plain mochi says no
	f("+/#", "a", true)
	f("#", "$SYS/x", false)
	f("+/x", "$SYS/x", false)
	f("$SYS/#", "$SYS/x", true)
	f("zones/1", "zones/1/pump/cmd", false) // plain mochi's ledger says yes
}

// levels draws a topic or filter of few levels from few names, so that they meet.
func levels(names ...string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(names), 1, 4).Draw(t, "levels"), "/")
	})
}

func filters() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		f := levels("a", "b", "", "+", "$x").Draw(t, "filter")
		if rapid.Bool().Draw(t, "rest") {
			f += "/#"
		}
		return f
	}).Filter(func(s string) bool { return s != "" })
}

func topics() *rapid.Generator[string] {
	return levels("a", "b", "", "$x", "c").Filter(func(s string) bool { return s != "" })
}

// slowly is MQTT 5, 4.7, level by level and without haste.
func slowly(filter, topic []string, first bool) bool {
	switch {
	case len(filter) == 0:
		return len(topic) == 0
	case filter[0] == "#":
		return !first || !strings.HasPrefix(topic[0], "$")
	case len(topic) == 0:
		return false
	case filter[0] == "+" && !(first && strings.HasPrefix(topic[0], "$")), filter[0] == topic[0]:
		return slowly(filter[1:], topic[1:], false)
	}
	return false
}

func TestMatchesAsTheStandardSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, topic := filters().Draw(t, "f"), topics().Draw(t, "topic")
		if got, want := broker.Matches(f, topic), slowly(strings.Split(f, "/"), strings.Split(topic, "/"), true); got != want {
			t.Fatalf("%q matches %q: got %v, want %v", f, topic, got, want)
		}
	})
}

func TestCoveredFiltersLetNothingElseThrough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		allowed, wanted, topic := filters().Draw(t, "allowed"), filters().Draw(t, "wanted"), topics().Draw(t, "topic")
		if broker.Covers(allowed, wanted) && broker.Matches(wanted, topic) && !broker.Matches(allowed, topic) {
			t.Fatalf("%q covers %q, but only the second matches %q", allowed, wanted, topic)
		}
		if !strings.ContainsAny(wanted, "+#") && broker.Covers(allowed, wanted) != broker.Matches(allowed, wanted) {
			t.Fatalf("%q and the topic %q: covering and matching differ", allowed, wanted)
		}
		if !broker.Covers(wanted, wanted) {
			t.Fatalf("%q does not cover itself", wanted)
		}
	})
}

func TestCovers(t *testing.T) {
	f := func(allowed, wanted string, want bool) {
		t.Helper()
		if got := broker.Covers(allowed, wanted); got != want {
			t.Errorf("%q covers %q: got %v, want %v", allowed, wanted, got, want)
		}
	}
	f("gh/#", "gh/n/+/status", true)
	f("gh/#", "gh", true)
	f("gh/n/+/status", "gh/n/+/status", true)
	f("gh/n/+/status", "gh/n/x/status", true)
	f("gh/n/x/status", "gh/n/+/status", false)
	f("gh/n/+/status", "gh/n/#", false)
	f("gh/+", "gh/#", false)
	f("gh/#", "#", false)
	f("#", "$SYS/#", false)
	f("+/x", "$SYS/x", false)
	f("a/b", "a/b/#", false)
	f("a/b/#", "a/b", true)
}

func TestIndexAgreesWithMatching(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			filter string
			n      int
		}
		var x broker.Subscribers
		has := map[entry]byte{}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			e := entry{filters().Draw(t, "filter"), rapid.IntRange(0, 4).Draw(t, "n")}
			if rapid.Bool().Draw(t, "remove") {
				_, want := has[e]
				if got := x.Remove(e.filter, e.n); got != want {
					t.Fatalf("removing %v: got %v, want %v", e, got, want)
				}
				delete(has, e)
				continue
			}
			has[e] = rapid.Byte().Draw(t, "qos") & 1
			x.Add(e.filter, e.n, has[e])
		}
		topic, want := topics().Draw(t, "topic"), map[int]byte{}
		for e, qos := range has {
			if broker.Matches(e.filter, topic) {
				want[e.n] = max(want[e.n], qos)
			}
		}
		if d := cmp.Diff(want, x.Of(topic)); d != "" {
			t.Fatalf("subscribers of %q (-want +got):\n%s", topic, d)
		}
		for e := range has {
			x.Remove(e.filter, e.n)
		}
		if !x.Empty() {
			t.Fatal("branches are left behind")
		}
	})
}

func FuzzTopics(f *testing.F) {
	for _, s := range []string{"", "a", "a/#", "#/a", "a+b", "$share/g/x", "\x00", "\xff", strings.Repeat("/", 20), "\ufeff", "+/+/#"} {
		f.Add(s, "a/b")
	}
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if broker.CheckFilter(filter) != nil || broker.CheckTopic(topic) != nil {
			return
		}
		if strings.Count(filter, "/") >= 12 || len(filter) > 256 || strings.ContainsRune(filter, 0) || strings.Contains(strings.TrimSuffix(filter, "#"), "#") {
			t.Fatalf("filter %q passed", filter)
		}
		if got, want := broker.Matches(filter, topic), slowly(strings.Split(filter, "/"), strings.Split(topic, "/"), true); got != want {
			t.Fatalf("%q matches %q: got %v, want %v", filter, topic, got, want)
		}
	})
}
