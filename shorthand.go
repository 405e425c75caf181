package greenhouse

import (
	"bytes"
	"encoding/json"
)

// People write a target as one number and a knot as they type it; both are read so,
// and always written in full.

// UnmarshalJSON reads {"day": 20, "night": 17}, or 20 for both.
func (t *Target) UnmarshalJSON(raw []byte) error {
	var one float64
	if json.Unmarshal(raw, &one) == nil && !bytes.Equal(raw, []byte("null")) {
		*t = Target{one, one}
		return nil
	}
	type plain Target
	return strict(raw, (*plain)(t))
}

// UnmarshalJSON reads {"at": "sunrise-0:30", "value": 20, "ramp": 1.5}, or
// "sunrise-0:30=20@1.5".
func (k *Knot) UnmarshalJSON(raw []byte) (err error) {
	var text string
	if json.Unmarshal(raw, &text) == nil && !bytes.Equal(raw, []byte("null")) {
		*k, err = ParseKnot(text)
		return err
	}
	type plain Knot
	return strict(raw, (*plain)(k))
}

// strict decodes an object and refuses fields it does not have.
func strict(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
