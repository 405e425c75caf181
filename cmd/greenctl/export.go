package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// formatParquet is made here, from the lines that the daemon streams.
const formatParquet = "parquet"

// exportFormats are what point export can write.
func exportFormats() []string { return []string{api.FormatCSV, api.FormatJSONL, formatParquet} }

// checkFormat refuses a format that does not exist.
func checkFormat(format string) error {
	if slices.Contains(exportFormats(), format) {
		return nil
	}
	return greenhouse.Invalid("usage", "export format %q is unknown", format).WithHint("it is %s", strings.Join(exportFormats(), ", "))
}

// openExport streams readings in a format, converted here if it must be.
func (a *app) openExport(ctx context.Context, c *client.Client, ids []greenhouse.PointID, span client.Span, format string) (io.ReadCloser, error) {
	if format != formatParquet {
		return c.Export(ctx, ids, span, format)
	}
	lines, err := c.Export(ctx, ids, span, api.FormatJSONL)
	if err != nil {
		return nil, err
	}
	return newParquetReader(lines), nil
}

// exported is one row of a Parquet export. The columns are those of CSV; a
// sensor that failed has no value.
type exported struct {
	Point   string   `parquet:"point,dict" json:"point"`
	TS      int64    `parquet:"ts,timestamp(millisecond)" json:"ts"` // UTC
	Value   *float64 `parquet:"value,optional" json:"value"`
	Quality string   `parquet:"quality,dict" json:"quality"`
}

const (
	// rowGroup is how many rows a reader of the file may skip at once; as many
	// are in memory while writing.
	rowGroup = 1 << 17
	// longestLine bounds a line of the daemon's stream.
	longestLine = 64 << 10
)

// parquetReader turns JSON lines into a Parquet file while it is read. What
// breaks the lines off breaks it off too, so that half is never taken for whole.
type parquetReader struct {
	*io.PipeReader
	lines io.ReadCloser
}

func newParquetReader(lines io.ReadCloser) parquetReader {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(writeParquet(w, lines)) }() // never fails
	return parquetReader{r, lines}
}

// Close ends the conversion.
func (p parquetReader) Close() error {
	_ = p.PipeReader.Close() // never fails
	return p.lines.Close()
}

// writeParquet converts all lines.
func writeParquet(out io.Writer, lines io.Reader) error {
	w := parquet.NewGenericWriter[exported](out, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowGroup),
		parquet.CreatedBy("greenctl", version, ""))
	in := bufio.NewScanner(lines)
	in.Buffer(make([]byte, longestLine), longestLine)
	batch := make([]exported, 0, 1024)
	for in.Scan() {
		var row exported
		if err := json.Unmarshal(in.Bytes(), &row); err != nil {
			return fmt.Errorf("read export: %w", err)
		}
		if batch = append(batch, row); len(batch) == cap(batch) {
			if _, err := w.Write(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read export: %w", err)
	}
	if _, err := w.Write(batch); err != nil {
		return err
	}
	return w.Close()
}

// exportGaps writes what was lost of the points to a file of its own: point,
// node, from, to (ms), cause, count. A loss of a whole node or of the site is
// told under each point it concerns.
func (a *app) exportGaps(ctx context.Context, c *client.Client, ids []greenhouse.PointID, span client.Span, path string) error {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(writeGaps(ctx, w, c, ids, span)) }() // never fails
	defer func() { _ = r.Close() }()
	return a.download(path, r, 0o666)
}

func writeGaps(ctx context.Context, out io.Writer, c *client.Client, ids []greenhouse.PointID, span client.Span) error {
	w := csv.NewWriter(out)
	if err := w.Write([]string{"point", "node", "from", "to", "cause", "count"}); err != nil {
		return err
	}
	for _, id := range ids {
		pages := client.All(func(cursor string) (api.List[api.Gap], error) {
			return c.Gaps(ctx, id, span, client.Page{Cursor: cursor})
		})
		for g, err := range pages {
			if err != nil {
				return err
			}
			line := []string{string(id), string(g.Node), strconv.FormatInt(int64(g.From), 10), strconv.FormatInt(int64(g.To), 10), g.Cause, strconv.FormatInt(g.Count, 10)}
			if err := w.Write(line); err != nil {
				return err
			}
		}
	}
	w.Flush()
	return w.Error()
}
