package main

import (
	"testing"
	"time"
)

func TestKeepTime(t *testing.T) {
	const day = 24 * time.Hour
	f := func(s string, want time.Duration) {
		t.Helper()
		got, err := keepTime("k", s)
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: got %v, %v; want %v", s, got, err, want)
		}
	}
	f("1d", day)
	f("90d", 90*day)
	f("2w", 14*day)
	f("10y", 3650*day)
	f("100y", 36500*day)
	f("101y", 0)
	f("0d", 0)
	f("", 0)
	f("d", 0)
	f("90", 0)
	f("-1d", 0)
	f("1.5y", 0)
	f("12h", 0)
	f("99999999999d", 0)
}

func TestByteSize(t *testing.T) {
	f := func(s string, want int64, ok bool) {
		t.Helper()
		got, err := byteSize("k", s)
		if got != want || (err == nil) != ok {
			t.Errorf("%q: got %d, %v; want %d", s, got, err, want)
		}
	}
	f("0", 0, true)
	f("64MiB", 64<<20, true)
	f("1.5 GB", 1_500_000_000, true)
	f("20GiB", 20<<30, true)
	f("2000000", 2_000_000, true)
	f("12", 0, false) // a size nobody means
	f("-1GB", 0, false)
	f("NaN", 0, false)
	f("1e300GB", 0, false)
	f("much", 0, false)
	f("", 0, false)
}
