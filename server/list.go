package server

import (
	"cmp"
	"encoding/base64"
	"reflect"
	"slices"

	"greenhouse"
	"greenhouse/api"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// limit returns how many items are wanted.
func (p PageParams) limit(usual, most int) (int, error) {
	switch {
	case p.Limit < 0:
		return 0, greenhouse.Invalid("limit_invalid", "limit %d is negative", p.Limit)
	case p.Limit == 0:
		return usual, nil
	}
	return min(p.Limit, most), nil
}

// after returns the key behind which the page begins.
func (p PageParams) after() (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil {
		return "", greenhouse.Invalid("cursor_invalid", "the cursor is none of ours").WithHint("pass next of the page before, as it was")
	}
	return string(raw), nil
}

func cursor(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// page cuts one page out of all records, ordered by key. A record added or
// removed between two pages is met once or not at all, and no other is missed.
func page[K cmp.Ordered, R, T any](p PageParams, all map[K]R, keep func(R) bool, show func(R) T) (api.List[T], error) {
	list := api.List[T]{Items: []T{}}
	limit, err := p.limit(api.DefaultLimit, api.MaxLimit)
	if err != nil {
		return list, err
	}
	after, err := p.after()
	if err != nil {
		return list, err
	}
	keys := make([]K, 0, len(all))
	for k, r := range all {
		if keep(r) && keyText(k) > after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if len(keys) > limit {
		keys = keys[:limit]
		list.Next = cursor(keyText(keys[limit-1]))
	}
	for _, k := range keys {
		list.Items = append(list.Items, show(all[k]))
	}
	return list, nil
}

// keyText returns a key as text of the same order; all keys of lists are strings.
func keyText[K cmp.Ordered](k K) string { return reflect.ValueOf(k).String() }

// pageOf cuts one page out of a list that is already in order, by position.
func pageOf[T any](p PageParams, all []T) (api.List[T], error) {
	list := api.List[T]{Items: []T{}}
	limit, err := p.limit(api.DefaultLimit, api.MaxLimit)
	if err != nil {
		return list, err
	}
	from, err := p.position()
	if err != nil {
		return list, err
	}
	from = min(from, len(all))
	to := min(from+limit, len(all))
	list.Items = append(list.Items, all[from:to]...)
	if to < len(all) {
		list.Next = cursor(itoa(to))
	}
	return list, nil
}
