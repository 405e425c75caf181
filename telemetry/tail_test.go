package telemetry_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"greenhouse/telemetry"
)

// Whatever lies in a segment, its frames are found where testing every word finds
// them: whole, torn, overwritten, left over from an earlier life, with words that
// pass for lengths.
func TestFramesAreFoundWhateverLiesAround(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const number = 7
		data := make([]byte, telemetry.SegmentHeader)
		for range rapid.IntRange(0, 12).Draw(rt, "pieces") {
			switch rapid.SampledFrom([]string{"frame", "frame", "old", "words", "zeros"}).Draw(rt, "piece") {
			case "frame":
				data = telemetry.AppendFrame(data, number, rapid.SliceOfN(rapid.Byte(), 1, 90).Draw(rt, "payload"))
			case "old":
				data = telemetry.AppendFrame(data, number-3, rapid.SliceOfN(rapid.Byte(), 1, 90).Draw(rt, "payload"))
			case "words":
				for range rapid.IntRange(1, 8).Draw(rt, "words") {
					data = binary.LittleEndian.AppendUint64(data, rapid.Uint64Range(0, 200).Draw(rt, "word"))
				}
			case "zeros":
				data = append(data, make([]byte, 8*rapid.IntRange(1, 12).Draw(rt, "zeros"))...)
			}
		}
		if len(data) > telemetry.SegmentHeader && rapid.Bool().Draw(rt, "flip") {
			data[rapid.IntRange(telemetry.SegmentHeader, len(data)-1).Draw(rt, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		}
		limit := int64(rapid.IntRange(telemetry.SegmentHeader, len(data)+8).Draw(rt, "limit"))
		at, end, damaged := telemetry.Frames(data, number, limit)
		wantAt, wantEnd, wantDamaged := telemetry.FramesWordByWord(data, number, limit)
		if !slices.Equal(at, wantAt) || end != wantEnd || damaged != wantDamaged {
			rt.Fatalf("frames at %v, end %d, %d damaged; tested word by word: %v, %d, %d", at, end, damaged, wantAt, wantEnd, wantDamaged)
		}
	})
}

// What a start pays for the earlier life of a segment, beside testing every word.
func BenchmarkRecycledSegment(b *testing.B) {
	const number, size = 7, 1 << 20
	old := make([]byte, telemetry.SegmentHeader, size+4096)
	rng := rand.New(rand.NewPCG(1, 2))
	for len(old) < size {
		payload := make([]byte, 2000)
		for i := range payload[:len(payload)/2] {
			payload[2*i] = byte(rng.Uint32()) // small words among others
		}
		old = telemetry.AppendFrame(old, number-2, payload)
	}
	hostile := binary.LittleEndian.AppendUint64(nil, size/2)
	for name, data := range map[string][]byte{"old": old, "hostile": bytes.Repeat(hostile, size/8)} {
		copy(data, telemetry.AppendFrame(make([]byte, telemetry.SegmentHeader), number, make([]byte, 100)))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				telemetry.Frames(data, number, int64(len(data)))
			}
		})
		b.Run(name+"/word by word", func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				telemetry.FramesWordByWord(data, number, int64(len(data)))
			}
		})
	}
}
