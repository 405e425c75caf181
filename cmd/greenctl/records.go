package main

import (
	"iter"
	"strconv"
	"time"
)

// completionTime bounds how long the shell waits for live names.
const completionTime = 300 * time.Millisecond

// all collects a paged list; nil becomes an empty list, so that JSON has [].
func all[T any](items iter.Seq2[T, error]) ([]T, error) {
	out := []T{}
	for it, err := range items {
		if err != nil {
			return nil, err
		}
		out = append(out, it)
	}
	return out, nil
}

func itoa(v uint64) string { return strconv.FormatUint(v, 10) }
