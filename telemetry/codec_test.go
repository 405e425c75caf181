package telemetry_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/telemetry"
)

// same compares rows bit by bit, any NaN being no value.
func same(a, b telemetry.Row) bool {
	return a.At == b.At && a.Q == b.Q && (math.Float64bits(a.V) == math.Float64bits(b.V) || math.IsNaN(a.V) && math.IsNaN(b.V))
}

func checkRoundTrip(t interface{ Fatalf(string, ...any) }, start int64, rows []telemetry.Row) int {
	b := telemetry.EncodeRows(start, rows)
	got, _, err := telemetry.DecodeRows(start, b)
	if err != nil {
		t.Fatalf("decode %d rows: %v", len(rows), err)
	}
	if !slices.EqualFunc(got, rows, same) {
		t.Fatalf("rows changed: got %v, want %v", got, rows)
	}
	return len(b)
}

func TestChunkRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := int64(1_764_000_000_000)
		n := rapid.IntRange(1, 400).Draw(t, "n")
		value := rapid.OneOf(
			rapid.Custom(func(t *rapid.T) float64 { return float64(rapid.IntRange(-500, 900).Draw(t, "tenths")) / 10 }),
			rapid.Custom(func(t *rapid.T) float64 { return float64(float32(rapid.Float32().Draw(t, "float32"))) }),
			rapid.Float64(),
			rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.NaN(), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1<<53 + 2, 0.1, 1e22}))
		plain := rapid.Bool().Draw(t, "plain")
		at := start
		var rows []telemetry.Row
		for range n {
			r := telemetry.Row{At: at, V: float64(rapid.IntRange(0, 40).Draw(t, "v")) / 2}
			if !plain {
				r.V, r.Q = value.Draw(t, "value"), greenhouse.Quality(rapid.IntRange(0, 4).Draw(t, "q"))
			}
			rows = append(rows, r)
			at += int64(rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(9_900, 10_100), rapid.Just(10_000)).Draw(t, "step"))
		}
		checkRoundTrip(t, start, rows)
	})
}

func TestColumnRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-3, 3), rapid.Just(int64(0)), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64})), 1, 200).Draw(t, "v")
		if rapid.Bool().Draw(t, "even") { // what is stored as digits
			base := rapid.Int64Range(2, 1<<25).Draw(t, "base")
			v = rapid.SliceOfN(rapid.Int64Range(0, base-1), 1, 300).Draw(t, "digits")
		}
		b := telemetry.EncodeColumn(v, rapid.Bool().Draw(t, "clock"))
		got, rest, err := telemetry.DecodeColumn(b, len(v))
		if err != nil || rest != 0 || !slices.Equal(got, v) {
			t.Fatalf("got %v, %d bytes left, %v; want %v", got, rest, err, v)
		}
	})
}

// TestColumnCodes holds every way to store a column to what it is for: even spread is
// stored as digits, steady noise in a Rice code, runs by the adaptive coder, each in
// little more bits than it has entropy; and all come back.
func TestColumnCodes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	const n = 3000
	beat, noise, runs, wild := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i := range int64(n) {
		beat[i] = i*10_000 + rnd.Int64N(40)
		noise[i] = int64(math.Round(200*math.Sin(float64(i)/2000) + 2*rnd.NormFloat64()))
		runs[i] = i / 100 % 7
		wild[i] = int64(rnd.Uint64()) >> rnd.UintN(64)
	}
	for _, tc := range []struct {
		name  string
		v     []int64
		clock bool
		coder byte
		most  float64 // bits a value
	}{
		{"beat", beat, true, 2, 5.45}, // entropy 5.32
		{"noise", noise, false, 1, 3.5},
		{"runs", runs, false, 0, 0.2},
		{"wild", wild, false, 0, 70},
	} {
		b := telemetry.EncodeColumn(tc.v, tc.clock)
		got, rest, err := telemetry.DecodeColumn(b, n)
		if err != nil || rest != 0 || !slices.Equal(got, tc.v) {
			t.Errorf("%s does not come back: %d bytes left, %v", tc.name, rest, err)
		}
		if each := float64(len(b)) * 8 / n; b[0]>>4 != tc.coder || each > tc.most {
			t.Errorf("%s: coder %d, %.2f bits a value; want coder %d, at most %.2f bits", tc.name, b[0]>>4, each, tc.coder, tc.most)
		}
	}
}

func FuzzChunkRoundTrip(f *testing.F) {
	f.Add([]byte("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		start, at := int64(1_764_000_000_000), int64(1_764_000_000_000)
		var rows []telemetry.Row
		for len(b) >= 11 && len(rows) < 2000 {
			q := greenhouse.Quality(b[0] % 5)
			v := math.Float64frombits(binary.LittleEndian.Uint64(b[1:]))
			if b[0]&0x80 != 0 {
				v = float64(int16(binary.LittleEndian.Uint16(b[1:]))) / 10
			}
			if math.IsInf(v, 0) {
				v = 0
			}
			rows = append(rows, telemetry.Row{At: at, V: v, Q: q})
			at += 1 + int64(binary.LittleEndian.Uint16(b[9:]))
			b = b[11:]
		}
		if len(rows) > 0 {
			checkRoundTrip(t, start, rows)
		}
	})
}

// FuzzDecodeChunk feeds the decoder what no encoder wrote: it must end with
// rows or an error, never with a panic.
func FuzzDecodeChunk(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		var rows []telemetry.Row
		for i := range 50 {
			rows = append(rows, telemetry.Row{At: int64(i) * 10_000, V: math.Round(rnd.NormFloat64()*100) / 10, Q: greenhouse.Quality(rnd.IntN(5))})
		}
		f.Add(telemetry.EncodeRows(0, rows))
	}
	for _, step := range []int64{40, 3} { // times that are digits, values in a Rice code
		var rows []telemetry.Row
		for i := range int64(400) {
			rows = append(rows, telemetry.Row{At: i*10_000 + rnd.Int64N(step), V: math.Round(rnd.NormFloat64() * 20)})
		}
		f.Add(telemetry.EncodeRows(0, rows))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, _, err := telemetry.DecodeRows(0, b)
		if err == nil && len(rows) == 0 {
			t.Fatal("no rows and no error")
		}
	})
}

// FuzzDecodeLevel does the same with summaries: what decodes is what was encoded.
func FuzzDecodeLevel(f *testing.F) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range 6 {
		var rows []telemetry.Row
		for at := int64(0); at < 86_400_000; at += 600_000 + rnd.Int64N(3_600_000) {
			v := math.Round(rnd.NormFloat64()*100) / 10
			if i%3 == 2 {
				v = rnd.NormFloat64()
			}
			rows = append(rows, telemetry.Row{At: at, V: v, Q: greenhouse.Quality(rnd.IntN(5))})
		}
		f.Add(telemetry.EncodeLevel(0, rows, i%2 == 0))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if same, err := telemetry.DecodeLevel(b); err == nil && !same {
			t.Fatal("a summary changes when it is encoded again")
		}
	})
}

// TestChunkSize holds the codec to its budget on greenhouse-like signals: what
// is asserted is a count of bytes, which no machine changes.
func TestChunkSize(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	signals := []struct {
		name   string
		places float64
		noise  float64
		drift  float64
		max    float64 // bytes a value, times excluded
	}{
		{"air_temp 0.01", 100, 0.03, 0.01, 0.65},
		{"air_temp 0.1", 10, 0.05, 0.02, 0.30},
		{"air_rh 0.1", 10, 0.2, 0.1, 0.50},
		{"co2 1", 1, 4, 2, 0.65},
		{"lamp", 1, 0, 0, 0.02},
	}
	for _, s := range signals {
		const n = 2160
		rows := make([]telemetry.Row, n)
		level := 20.0
		for i := range rows {
			level += rnd.NormFloat64() * s.drift
			rows[i] = telemetry.Row{At: int64(i) * 10_000, V: math.Round((level+rnd.NormFloat64()*s.noise)*s.places)/s.places + 0}
		}
		got := float64(checkRoundTrip(t, 0, rows)) / n
		t.Logf("%-14s %.3f bytes a value", s.name, got)
		if got > s.max {
			t.Errorf("%s: %.3f bytes a value, want at most %.2f", s.name, got, s.max)
		}
	}
}

func BenchmarkEncodeChunk(b *testing.B) {
	rows := benchRows()
	b.ReportAllocs()
	for b.Loop() {
		telemetry.EncodeRows(0, rows)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rows)), "ns/value")
}

func BenchmarkDecodeChunk(b *testing.B) {
	rows := benchRows()
	enc := telemetry.EncodeRows(0, rows)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := telemetry.DecodeRows(0, enc); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rows)), "ns/value")
}

func benchRows() []telemetry.Row {
	rnd := rand.New(rand.NewPCG(3, 3))
	rows := make([]telemetry.Row, 2160)
	at := int64(0)
	for i := range rows {
		rows[i] = telemetry.Row{At: at, V: math.Round((20+rnd.NormFloat64()*0.1)*100) / 100}
		at += 10_000 + int64(rnd.IntN(40))
	}
	return rows
}
