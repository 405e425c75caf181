package api

import (
	"math"

	"greenhouse"
)

// List is the answer of every list: the items, never null, and the cursor of
// the next page where there is one.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"pass as ?cursor= for the next page"`
}

// The sizes of a page.
const (
	DefaultLimit = 500     // items of a list where ?limit= is absent
	MaxLimit     = 10_000  // most items of a list
	MaxSamples   = 100_000 // most samples of one history answer
)

// Num returns v for JSON: nil, so null, where v is NaN or infinite.
func Num(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// Val returns the value behind p, NaN for nil.
func Val(p *float64) float64 {
	if p == nil {
		return math.NaN()
	}
	return *p
}

// Meta is what every record that people can edit carries.
type Meta struct {
	Version   uint64            `json:"version" doc:"starts at 1; the ETag"`
	CreatedAt greenhouse.Millis `json:"created_at"`
	UpdatedAt greenhouse.Millis `json:"updated_at"`
}

// Done answers a write that has no record to show.
type Done struct {
	OK bool `json:"ok"`
}
