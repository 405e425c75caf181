package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// lines returns n readings as the daemon streams them.
func lines(n int) string {
	var b strings.Builder
	for i := range n {
		value := fmt.Sprint(float64(i) / 10)
		quality := "good"
		if i%7 == 0 {
			value, quality = "null", "bad"
		}
		fmt.Fprintf(&b, `{"point":"north/air_temp","ts":%d,"value":%s,"quality":"%s"}`+"\n", 1_764_000_000_000+i*10_000, value, quality)
	}
	return b.String()
}

func TestParquetHoldsEveryReading(t *testing.T) {
	f := func(n int) {
		t.Helper()
		data, err := io.ReadAll(newParquetReader(io.NopCloser(strings.NewReader(lines(n)))))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := parquet.Read[exported](bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != n {
			t.Fatalf("got %d rows, want %d", len(rows), n)
		}
		for i, r := range rows {
			v := float64(i) / 10
			want := exported{"north/air_temp", int64(1_764_000_000_000 + i*10_000), &v, "good"}
			if i%7 == 0 {
				want.Value, want.Quality = nil, "bad"
			}
			if d := cmp.Diff(want, r); d != "" {
				t.Fatalf("row %d (-want +got):\n%s", i, d)
			}
		}
		file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		want := "message exported {\n\trequired binary point (STRING);\n\trequired int64 ts (TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS));\n\toptional double value;\n\trequired binary quality (STRING);\n}"
		if got := file.Schema().String(); got != want {
			t.Errorf("schema:\n%s\nwant:\n%s", got, want)
		}
	}
	f(0)
	f(1)
	f(1024)
	f(3*rowGroup + 5)
}

// What breaks off half-way must not look whole, and must leave no file.
func TestParquetBreaksOffWithItsSource(t *testing.T) {
	broken := io.MultiReader(strings.NewReader(lines(5000)), iotest.ErrReader(io.ErrUnexpectedEOF))
	a := &app{err: io.Discard, out: io.Discard}
	dir := t.TempDir()
	a.now = time.Now
	err := a.download(filepath.Join(dir, "x.parquet"), newParquetReader(io.NopCloser(broken)), 0o666)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := io.ReadAll(newParquetReader(io.NopCloser(strings.NewReader("{")))); err == nil {
		t.Error("took half a line")
	}
}
