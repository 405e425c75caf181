package tui

import (
	"strings"
	"time"

	"greenhouse"
)

// view is what a pane draws with: the state, the styles, the width and the
// instant.
type view struct {
	s   *state
	k   ink
	w   int
	now greenhouse.Millis // the daemon's clock
	loc *time.Location    // the person's
}

// clock writes a time of day.
func (v view) clock(t greenhouse.Millis) string { return t.Time().In(v.loc).Format("15:04:05") }

// date writes a day and a time of day.
func (v view) date(t greenhouse.Millis) string { return t.Time().In(v.loc).Format("Jan 2 15:04") }

// rule draws a line across the screen with a title in it.
func (v view) rule(title string) string {
	if title == "" {
		return v.k.dim.Render(strings.Repeat("─", v.w))
	}
	return v.k.dim.Render("─ ") + v.k.title.Render(title) + v.k.dim.Render(" "+strings.Repeat("─", max(v.w-cells(title)-3, 0)))
}

// column is one column of a table: with too little room the columns with the
// highest drop go first.
type column struct {
	title string
	width int  // cells
	drop  int  // 0: always shown
	most  int  // cells that the column may grow to for its longest key; 0: it does not
	rest  bool // it takes what is left
}

// layout returns the width of each column in w cells, 0 for those that do not
// fit. longest is the longest key.
func layout(cols []column, w, longest int) []int {
	shown := make([]int, len(cols))
	left := w + 1
	for i, c := range cols {
		shown[i] = c.width
		left -= c.width + 1
	}
	for left < 0 {
		worst := -1
		for i, c := range cols {
			if shown[i] > 0 && c.drop > 0 && (worst < 0 || c.drop > cols[worst].drop) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		left += shown[worst] + 1
		shown[worst] = 0
	}
	for i, c := range cols {
		if grow := min(longest, c.most) - shown[i]; grow > 0 && shown[i] > 0 && left > 0 {
			shown[i], left = shown[i]+min(grow, left), left-min(grow, left)
		}
	}
	for i, c := range cols {
		if c.rest && shown[i] > 0 && left > 0 {
			shown[i], left = shown[i]+left, 0
		}
	}
	return shown
}

// row draws cells under a layout.
func row(texts []string, widths []int) string {
	var b strings.Builder
	for i, w := range widths {
		if w == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(fit(texts[i], w))
	}
	return b.String()
}

// titles returns the header cells of a table.
func titles(cols []column) []string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = c.title
	}
	return out
}

// mark draws a row under the cursor, or not: a symbol, for those who see no
// reversed colours.
func (v view) mark(line string, under bool) string {
	if !under {
		return " " + line
	}
	return v.k.cursor.Render(fit("›"+safe(line), v.w))
}

// cursor is a place in rows that come and go: it stays on its record, else
// where that was.
type cursor struct {
	at, top int
	key     string // of the record it is on
}

// move moves the cursor by d rows of n.
func (c *cursor) move(d, n int, key func(int) string) {
	c.at = max(min(c.at+d, n-1), 0)
	if n > 0 {
		c.key = key(c.at)
	}
}

// follow finds the cursor's record among n rows after they changed.
func (c *cursor) follow(n int, key func(int) string) {
	if c.key != "" && !(c.at < n && key(c.at) == c.key) {
		for i := range n {
			if key(i) == c.key {
				c.at = i
				return
			}
		}
	}
	c.move(0, n, key)
}

// window returns the rows [from, to) of n to draw in h lines, with the cursor
// in sight.
func (c *cursor) window(n, h int) (from, to int) {
	h = max(h, 1)
	c.top = max(min(c.top, c.at), c.at-h+1)
	c.top = max(min(c.top, n-h), 0)
	return c.top, min(c.top+h, n)
}

// aboutLines is how many lines say all of the record under the cursor.
const aboutLines = 3

// roster is a table over the records of one kind: those that match its filter,
// with a cursor.
type roster[T any] struct {
	columns []column
	empty   string                  // said where there are none at all
	all     func(*state) []*T       // the records, in order
	key     func(*T) string         // names a record
	text    func(*T) string         // what the filter looks in
	cells   func(view, *T) []string // one cell for each column
	about   func(view, *T) string   // says all of the record under the cursor; nil: nothing more to say
	note    func(*state) string     // what else there is to know, "" for nothing; nil: never anything
	tail    bool                    // a cursor on the first row stays there
	filter  string                  // "": all
	cursor  cursor                  //
	rows    []*T                    // what matched when they were last made
	longest int                     // key, cells
	rev     uint64                  // of the state then
	made    string                  // filter then
}

// sync makes the rows anew if the state or the filter has changed.
func (r *roster[T]) sync(s *state) {
	if r.rows != nil && r.rev == s.rev && r.made == r.filter {
		return
	}
	r.rows, r.rev, r.made, r.longest = r.rows[:0], s.rev, r.filter, 0
	want := strings.ToLower(r.filter)
	for _, x := range r.all(s) {
		if want == "" || strings.Contains(strings.ToLower(r.text(x)), want) {
			r.rows = append(r.rows, x)
			r.longest = max(r.longest, len(r.key(x)))
		}
	}
	if r.tail && r.cursor.at == 0 {
		r.cursor.key = ""
	}
	r.cursor.follow(len(r.rows), r.at)
}

func (r *roster[T]) at(i int) string { return r.key(r.rows[i]) }

// selected returns the record under the cursor, nil for none.
func (r *roster[T]) selected(s *state) *T {
	r.sync(s)
	if len(r.rows) == 0 {
		return nil
	}
	return r.rows[r.cursor.at]
}

// move moves the cursor.
func (r *roster[T]) move(s *state, d int) {
	r.sync(s)
	r.cursor.move(d, len(r.rows), r.at)
}

// search changes the filter.
func (r *roster[T]) search(filter string) { r.filter = filter }

// searched returns the filter.
func (r *roster[T]) searched() string { return r.filter }

// draw returns at most h lines. Only the rows in sight are made.
func (r *roster[T]) draw(v view, h int) []string {
	r.sync(v.s)
	if r.note != nil {
		if note := r.note(v.s); note != "" {
			return append([]string{" " + v.k.warn.Render(note)}, r.body(v, h-1)...)
		}
	}
	return r.body(v, h)
}

// body returns the table and what there is to say of the record under the cursor.
func (r *roster[T]) body(v view, h int) []string {
	if r.about != nil && len(r.rows) > 0 && h >= 10 {
		lines := r.table(v, h-aboutLines-1)
		for len(lines) < h-aboutLines-1 {
			lines = append(lines, "")
		}
		return append(append(lines, v.rule("")), wrap(r.about(v, r.rows[r.cursor.at]), v.w, aboutLines)...)
	}
	return r.table(v, h)
}

// table returns the table alone.
func (r *roster[T]) table(v view, h int) []string {
	widths := layout(r.columns, v.w-1, r.longest)
	lines := []string{" " + v.k.title.Render(row(titles(r.columns), widths))}
	if len(r.rows) == 0 {
		return append(lines, " "+v.k.dim.Render(r.nothing(v.s)))
	}
	from, to := r.cursor.window(len(r.rows), h-1)
	for i := from; i < to; i++ {
		lines = append(lines, v.mark(row(r.cells(v, r.rows[i]), widths), i == r.cursor.at))
	}
	return lines
}

// glance returns the first rows without a cursor, in at most h lines.
func (r *roster[T]) glance(v view, h int) []string {
	r.sync(v.s)
	widths := layout(r.columns, v.w-1, r.longest)
	var lines []string
	for _, x := range r.rows[:min(max(h, 0), len(r.rows))] {
		lines = append(lines, " "+row(r.cells(v, x), widths))
	}
	return lines
}

// nothing says why there are no rows.
func (r *roster[T]) nothing(s *state) string {
	if !s.known && len(r.all(s)) == 0 {
		return "nothing is known yet"
	}
	if r.filter != "" {
		return "nothing matches /" + safe(r.filter) + "; esc clears the filter"
	}
	return r.empty
}

// refs returns pointers to the items.
func refs[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
