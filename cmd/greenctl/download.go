package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"greenhouse"
)

// download writes body to a file that appears whole or not at all, with
// progress on a terminal.
func (a *app) download(path string, body io.Reader, mode fs.FileMode) (err error) {
	part := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part")
	tmp, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return greenhouse.Invalid("file_invalid", "%s cannot be written: %s", path, reason(err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	n, err := io.Copy(tmp, &progress{Reader: body, app: a, every: 500 * time.Millisecond})
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	if a.output == "json" || a.output == "yaml" || a.output == "name" {
		type file struct {
			File  string `json:"file"`
			Bytes int64  `json:"bytes"`
		}
		return a.show(file{path, n}, view{names: func() []string { return []string{path} }})
	}
	a.note("%s: %d bytes", path, n)
	return nil
}

// checkTarget refuses a file that cannot be, before anything is asked of the
// daemon.
func checkTarget(path string) error {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return greenhouse.Invalid("file_invalid", "%s is a directory", path).WithHint("name a file in it")
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return greenhouse.Invalid("file_invalid", "%s cannot be written: %s", path, reason(err))
	}
	return nil
}

// reason returns what the system said, without the path it was said of.
func reason(err error) string {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// progress tells on a terminal how much was read.
type progress struct {
	io.Reader
	app   *app
	every time.Duration
	last  time.Time
	n     int64
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.n += int64(n)
	if now := p.app.now(); isTerminal(p.app.err) && now.Sub(p.last) > p.every {
		p.last = now
		fmt.Fprintf(p.app.err, "\r%d KiB", p.n>>10)
		if err != nil {
			fmt.Fprint(p.app.err, "\r")
		}
	}
	return n, err
}
