package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenhouse/api"
	"greenhouse/client"
)

// supportEvents is how many of the newest events go into a bundle.
const supportEvents = 2000

// newSupportBundle collects what somebody who helps from afar needs to see. It is
// made for bad days: what cannot be had is named in it and the rest is there.
func newSupportBundle(a *app) *cobra.Command {
	return verb("support-bundle [FILE]", "Save what somebody who helps needs to see, without secrets", "  greenctl support-bundle            # greenhouse-support-2026-03-01-101500.tar.gz\n  tar xzOf greenhouse-support-*.tar.gz | less   # look before you send it", args("[FILE]"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		path := "greenhouse-support-" + a.now().Format("2006-01-02-150405") + ".tar.gz"
		if len(args) > 0 {
			path = args[0]
		}
		if err := checkTarget(path); err != nil {
			return err
		}
		b := &bundle{made: a.now()}
		a.collect(ctx, c, b)
		if ctx.Err() != nil {
			return errInterrupted
		}
		packed, err := b.pack()
		if err != nil {
			return err
		}
		for _, m := range b.missing {
			a.note("not in it: %s", m)
		}
		return a.download(path, bytes.NewReader(packed), 0o600)
	}))
}

// bundle is what was collected.
type bundle struct {
	made    time.Time
	parts   []part
	missing []string // parts that could not be had, each with the reason
}

// part is one file of a bundle.
type part struct {
	name string
	text []byte
}

// add takes a part, or notes why there is none.
func (b *bundle) add(name string, v any, err error) {
	var text []byte
	switch t := v.(type) {
	case string:
		text = []byte(t)
	default:
		if err == nil {
			text, err = json.MarshalIndent(v, "", "  ")
		}
	}
	if err != nil {
		b.missing = append(b.missing, name+": "+err.Error())
		return
	}
	b.parts = append(b.parts, part{name, redact(text)})
}

// collect asks the daemon for everything that is in a bundle.
func (a *app) collect(ctx context.Context, c *client.Client, b *bundle) {
	b.add("greenctl.json", map[string]any{"version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "at": b.made.UTC().Format(time.RFC3339)}, nil)
	v, err := c.Version(ctx)
	b.add("version.json", v, err)
	st, err := c.Status(ctx)
	b.add("status.json", st, err)
	doctor, err := c.Doctor(ctx)
	b.add("doctor.json", doctor, err)
	conf, err := c.Config(ctx)
	b.add("config.json", conf, err)
	site, err := c.Site(ctx)
	b.add("site.json", site, err)
	zones, err := all(client.All(func(at string) (api.List[api.Zone], error) { return c.Zones(ctx, client.Page{Cursor: at}) }))
	b.add("zones.json", zones, err)
	recipes, err := all(client.All(func(at string) (api.List[api.Recipe], error) { return c.Recipes(ctx, client.Page{Cursor: at}) }))
	b.add("recipes.json", recipes, err)
	nodes, err := all(client.All(func(at string) (api.List[api.Node], error) {
		return c.Nodes(ctx, client.NodeFilter{Page: client.Page{Cursor: at}})
	}))
	b.add("nodes.json", nodes, err)
	points, err := all(client.All(func(at string) (api.List[api.Point], error) {
		return c.Points(ctx, client.PointFilter{Page: client.Page{Cursor: at}})
	}))
	b.add("points.json", points, err)
	alarms, err := c.Alarms(ctx, true, client.Page{Limit: 1000})
	b.add("alarms.json", alarms.Items, err)
	events, err := c.Events(ctx, st.LastEvent-min(st.LastEvent, supportEvents), supportEvents)
	b.add("events.json", events.Items, err)
	gaps, err := c.Gaps(ctx, "", client.Span{From: "168h"}, client.Page{Limit: 1000})
	b.add("gaps.json", gaps.Items, err)
	metrics, err := c.MetricsText(ctx)
	b.add("metrics.txt", metrics, err)
}

// pack makes the archive.
func (b *bundle) pack() ([]byte, error) {
	about := fmt.Sprintf("Support bundle of a greenhouse, made %s by greenctl %s.\n\nPasswords, secrets and tokens are not in it, nor is the position of the site; names of\nzones, nodes and users, and addresses of nodes, are. Look through it before you send it.\n", b.made.UTC().Format(time.RFC3339), version)
	parts := append([]part{{"README.txt", []byte(about)}}, b.parts...)
	if len(b.missing) > 0 {
		parts = append(parts, part{"missing.txt", redact([]byte(strings.Join(b.missing, "\n") + "\n"))})
	}
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	out := tar.NewWriter(zipped)
	var errs []error
	for _, p := range parts {
		errs = append(errs, out.WriteHeader(&tar.Header{Name: "greenhouse-support/" + p.name, Mode: 0o600, Size: int64(len(p.text)), ModTime: b.made, Typeflag: tar.TypeReg}))
		_, err := io.Copy(out, bytes.NewReader(p.text))
		errs = append(errs, err)
	}
	if err := errors.Join(append(errs, out.Close(), zipped.Close())...); err != nil {
		return nil, fmt.Errorf("pack the bundle: %w", err)
	}
	return packed.Bytes(), nil
}

// redact is the last look at a part: what has the form of a secret goes, wherever it
// may have come from. Nothing the daemon tells has one in it; this holds if that is
// ever wrong, and for what people wrote into names and reasons.
func redact(text []byte) []byte {
	const gone = "[redacted]"
	for _, form := range []string{
		`\$argon2id?\$[^\s"]+`, // the hash of a password
		`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----`,
		`(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{8,}`,
		`[a-z][a-z0-9+.-]*://[^\s/"@]+@[^\s"]*`, // user and password in an address
	} {
		text = regexp.MustCompile(form).ReplaceAll(text, []byte(gone))
	}
	position := regexp.MustCompile(`("(?:latitude|longitude)":\s*-?\d+)\.\d+`) // whole degrees will do for the sun
	text = position.ReplaceAll(text, []byte("$1"))
	words := regexp.MustCompile(`[A-Za-z0-9_-]+`)
	return words.ReplaceAllFunc(text, func(w []byte) []byte {
		const secret = 43 // 256 bits in base64url: secrets of nodes and accounts, tokens, join tokens
		if len(w) == secret && bytes.ContainsAny(w, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") && bytes.ContainsAny(w, "abcdefghijklmnopqrstuvwxyz") {
			return []byte(gone)
		}
		return w
	})
}
