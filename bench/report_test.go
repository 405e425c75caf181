package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// report gathers tables and budgets in the order they are measured.
type report struct {
	mu       sync.Mutex
	sections []section
	budgets  []budget
	skipped  []string
	versions []string
	rounds   int
	data     string
}

type section struct {
	title, note string
	columns     []string
	rows        [][]string
}

// budget is one promise, its peer or limit in this run, and what was found.
type budget struct {
	what, limit, got string
	met              bool
}

func (r *report) section(title, note string, columns ...string) *section {
	r.sections = append(r.sections, section{title: title, note: note, columns: columns})
	return &r.sections[len(r.sections)-1]
}

func (s *section) row(cells ...string) { s.rows = append(s.rows, cells) }

func (r *report) budget(met bool, what, limit, got string, args ...any) {
	r.budgets = append(r.budgets, budget{what, limit, fmt.Sprintf(got, args...), met})
}

func (r *report) skip(t *testing.T, what string) {
	t.Log("skipped: " + what)
	r.skipped = append(r.skipped, what)
}

// markdown writes the whole report.
func (r *report) markdown(took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s in %v on %s; medians of %d rounds in alternating order. Data: %s.\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), took.Round(time.Second), machine(), r.rounds, r.data)
	fmt.Fprintf(&b, "Versions: %s.\n", strings.Join(r.versions, "; "))
	for _, s := range r.skipped {
		fmt.Fprintf(&b, "\nLeft out: %s.\n", s)
	}
	b.WriteString("\n### Budgets that this run shows\n\n")
	rows := [][]string{}
	for _, x := range r.budgets {
		rows = append(rows, []string{x.what, x.limit, x.got, map[bool]string{true: "met", false: "**missed**"}[x.met]})
	}
	writeTable(&b, []string{"What", "Budget", "Here", ""}, rows)
	for _, s := range r.sections {
		fmt.Fprintf(&b, "\n### %s\n\n", s.title)
		if s.note != "" {
			fmt.Fprintf(&b, "%s\n\n", s.note)
		}
		writeTable(&b, s.columns, s.rows)
	}
	return b.String()
}

func writeTable(b *strings.Builder, columns []string, rows [][]string) {
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, r := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(r, " | "))
	}
}

// machine describes where this runs.
func machine() string {
	cpu := runtime.GOARCH
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(raw), "\n") {
			if k, v, ok := strings.Cut(line, ":"); ok && (strings.TrimSpace(k) == "model name" || strings.TrimSpace(k) == "Model") {
				cpu = strings.TrimSpace(v)
				break
			}
		}
	}
	kernel := ""
	if out, err := exec.Command("uname", "-r").Output(); err == nil {
		kernel = ", Linux " + strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%d × %s%s", runtime.NumCPU(), cpu, kernel)
}

// The report stands between these marks in docs/benchmarks.md.
const (
	markBegin = "<!-- bench-peers: begin, written by make bench-peers -->"
	markEnd   = "<!-- bench-peers: end -->"
)

// write puts the report into the document, leaving all else as it is.
func (r *report) write(text string) error {
	name := filepath.Join("..", "docs", "benchmarks.md")
	doc, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	body := []byte(markBegin + "\n\n" + text + "\n" + markEnd)
	i, j := bytes.Index(doc, []byte(markBegin)), bytes.Index(doc, []byte(markEnd))
	if i < 0 || j < i {
		doc = append(append(bytes.TrimRight(doc, "\n"), "\n\n"...), append(body, '\n')...)
	} else {
		doc = slices.Concat(doc[:i], body, doc[j+len(markEnd):])
	}
	return os.WriteFile(name, doc, 0o644)
}

// median returns the middle of what rounds gave.
func median[T int64 | float64 | time.Duration](v []T) T {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// count writes a number in groups of three digits.
func count[T int | int64 | float64](v T) string {
	s := fmt.Sprintf("%.0f", float64(v))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func ratio(a, b float64) string {
	if b == 0 {
		return "–"
	}
	if a/b >= 100 {
		return fmt.Sprintf("×%.0f", a/b)
	}
	return fmt.Sprintf("×%.2f", a/b)
}

func millis(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
