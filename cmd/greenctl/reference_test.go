package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The reference in docs/cli says what the programs say.
func TestReferenceIsCurrent(t *testing.T) {
	dir := t.TempDir()
	for _, program := range [][]string{{"go", "run", "-tags", "docs", "../edged"}, {"greenctl"}} {
		if out, err := exec.Command(program[0], append(program[1:], "docs", dir)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
	}
	want, got := pages(t, dir), pages(t, filepath.Join("..", "..", "docs", "cli"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("run make docs:\n%.3000s", diff)
	}
}

func pages(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		text[e.Name()] = string(b)
	}
	return text
}
