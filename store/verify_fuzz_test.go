package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"greenhouse"
	"greenhouse/store"
)

// FuzzVerifyFile changes bytes of a good registry file, four of the input for
// each change (where, which byte), and cuts it: what comes out is good, damaged
// or another program's, and looking at it never panics nor runs away.
func FuzzVerifyFile(f *testing.F) {
	opt := store.Options{Path: filepath.Join(f.TempDir(), "registry.db"), NoSync: true}
	s := open(f, opt)
	populate(f, s, 8)
	good, err := os.ReadFile(opt.Path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{}, uint32(0))
	f.Add([]byte{0, 16, 0, 255}, uint32(0))
	f.Add([]byte{}, uint32(4100))
	path := filepath.Join(f.TempDir(), "fuzzed.db")
	f.Fuzz(func(t *testing.T, changes []byte, cut uint32) {
		file := bytes.Clone(good)
		for ; len(changes) >= 4; changes = changes[4:] {
			at := int(changes[0])<<16 | int(changes[1])<<8 | int(changes[2])
			file[at%len(file)] = changes[3]
		}
		if cut > 0 {
			file = file[:int(cut)%len(file)]
		}
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		err := store.VerifyFile(path)
		var damage *store.DamageError
		if err != nil && !errors.As(err, &damage) && !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("verify: got %v, want damage or another program's file", err)
		}
	})
}
