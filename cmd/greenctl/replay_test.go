package main_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/sim"
)

// TestReplayOfARealGreenhouse replays six weeks of a real compartment into a
// real daemon at full speed. Every value must be acknowledged and stored, and
// come back at its own time, bit by bit.
func TestReplayOfARealGreenhouse(t *testing.T) {
	file := filepath.Join(dataDir(t), "agc2022_1", "Reference", "GreenhouseClimate.csv")
	columns := map[string]greenhouse.ChannelName{"Tair": "air_temp", "Rhair": "air_rh", "CO2air": "co2", "PARin": "ppfd", "Tleaf_ridder": "leaf_temp", "HumDef": "hum_def", "Tpipe": "pipe_temp", "VentLee": "vent_lee"}
	want, rows, values := readTable(t, file, columns)
	c := serve(t)

	var sum sim.Accounting
	args := []string{"sim", "replay", file, "--hardware-id", "02:51:0d:00:00:99", "--time-column", "Date", "--time-format", "%m/%d/%Y %H:%M", "--tz", "+01:00", "--speed", "max", "-o", "json"}
	for column, channel := range columns {
		args = append(args, "--map", column+"="+string(channel))
	}
	begun := time.Now()
	if err := json.Unmarshal(greenctl(t, args...), &sum); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d samples in %v", values, time.Since(begun).Round(time.Millisecond))
	if diff := cmp.Diff(sim.Accounting{Rows: rows, Sent: values, Acked: values, Stored: values}, sum); diff != "" {
		t.Fatal(diff)
	}
	st, err := c.Status(t.Context())
	if err != nil || st.Telemetry.Refused != 0 || st.Telemetry.Dropped != 0 {
		t.Errorf("got %+v, %v, want nothing refused or dropped", st.Telemetry, err)
	}
	for _, channel := range columns {
		got := history(t, c, greenhouse.NodePoint("multi-02510d000099", channel))
		if diff := cmp.Diff(want[channel], got); diff != "" {
			t.Errorf("%s: %d samples, want %d\n%.2000s", channel, len(got), len(want[channel]), diff)
		}
	}
}

// dataDir returns where the recorded greenhouses are, or skips the test.
func dataDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("GREENHOUSE_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data") // beside the module
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the recorded greenhouses are not here (%v): set GREENHOUSE_DATA", err)
	}
	return dir
}

// readTable reads the table on a way of its own: the values of each channel by
// time, the number of rows, and of values.
func readTable(t *testing.T, path string, columns map[string]greenhouse.ChannelName) (byChannel map[greenhouse.ChannelName]map[greenhouse.Millis]float64, rows, values int64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	byChannel = map[greenhouse.ChannelName]map[greenhouse.Millis]float64{}
	for i, name := range all[0] {
		channel, wanted := columns[name]
		if !wanted {
			continue
		}
		byChannel[channel] = map[greenhouse.Millis]float64{}
		for _, row := range all[1:] {
			if row[i] == "" {
				continue
			}
			at, err := time.Parse("1/2/2006 15:04 -0700", row[0]+" +0100")
			if err != nil {
				t.Fatal(err)
			}
			if byChannel[channel][greenhouse.MillisOf(at)], err = strconv.ParseFloat(row[i], 64); err != nil {
				t.Fatal(err)
			}
			values++
		}
	}
	return byChannel, int64(len(all) - 1), values
}

// serve runs edged in directories of its own until the test ends, and returns a
// client for it. greenctl finds it by GREENCTL_SOCKET.
func serve(t *testing.T) *client.Client {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	t.Setenv("GREENCTL_SOCKET", socket)
	daemon := exec.Command("edged", "serve", "--config", os.DevNull, "--data-dir", filepath.Join(dir, "data"), "--api-socket", socket, "--mqtt-listen", "127.0.0.1:0", "--log-level", "warn")
	daemon.Stderr = os.Stderr
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := daemon.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := daemon.Wait(); err != nil {
			t.Errorf("edged: %v", err)
		}
	})
	c, err := client.New(client.Options{Socket: socket, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if h, err := c.Ready(t.Context()); err == nil && h.OK {
			return c
		} else if time.Now().After(deadline) {
			t.Fatalf("edged is not ready: %v", err)
		}
	}
}

// greenctl runs the program and returns its output.
func greenctl(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.Command("greenctl", args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("greenctl %v: %v\n%s", args, err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// history returns all samples of a point, page by page.
func history(t *testing.T, c *client.Client, id greenhouse.PointID) map[greenhouse.Millis]float64 {
	t.Helper()
	got := map[greenhouse.Millis]float64{}
	q := client.HistoryQuery{Span: client.Span{From: "2022-01-01T00:00:00Z", To: "2022-12-31T00:00:00Z"}, Step: "raw", Page: client.Page{Limit: 5000}}
	for {
		h, err := c.History(t.Context(), id, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range h.Samples {
			if _, twice := got[s.TS]; twice {
				t.Errorf("%s: %d is there twice", id, s.TS)
			}
			got[s.TS] = api.Val(s.Value)
		}
		if len(h.Gaps) > 0 {
			t.Errorf("%s: got gaps %v", id, h.Gaps)
		}
		if q.Cursor = h.Next; q.Cursor == "" {
			return got
		}
	}
}
