package main

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"greenhouse"
	"greenhouse/api"
)

// span is a flag that takes a length of time: 90s, 1h30m, 7d, 2w.
type span struct{ d *time.Duration }

var _ pflag.Value = span{}

// spanVar adds such a flag.
func spanVar(f *pflag.FlagSet, d *time.Duration, name string, otherwise time.Duration, usage string) {
	*d = otherwise
	f.Var(span{d}, name, usage)
}

// String implements pflag.Value.
func (s span) String() string {
	if s.d == nil {
		return ""
	}
	return tidy(*s.d)
}

// Set implements pflag.Value.
func (s span) Set(text string) (err error) {
	*s.d, err = api.ParseDuration(text)
	return err
}

// Type implements pflag.Value: what the help calls the value.
func (s span) Type() string { return "time" }

// tidy writes a length of time as people do: 10m, not 10m0s.
func tidy(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// seconds returns the length of time in whole seconds, for a request in which 0
// would mean something else than what was asked.
func seconds(flag string, d, most time.Duration) (int, error) {
	switch {
	case d < time.Second:
		return 0, greenhouse.Invalid("usage", "--%s is %s: it takes at least a second", flag, tidy(d))
	case d > most:
		return 0, greenhouse.Invalid("usage", "--%s is %s: it takes at most %s", flag, tidy(d), tidy(most))
	}
	return int((d + time.Second - 1) / time.Second), nil
}
