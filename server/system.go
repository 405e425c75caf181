package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"greenhouse"
	"greenhouse/api"
)

func (s *Server) mountSystem(m *mount, mux *http.ServeMux) {
	handle(m, "version", s.getVersion)
	handle(m, "healthz", s.healthz)
	handle(m, "ready", s.ready)
	handle(m, "status", s.status)
	handle(m, "doctor", s.doctor)
	handle(m, "config-get", s.getConfig)
	handle(m, "backup", s.backup, streamOfBytes("application/octet-stream"))
	handle(m, "openapi", s.openapi, streamOfBytes("application/vnd.oai.openapi+json"))
	handle(m, "metrics", s.getMetrics, streamOfBytes("application/openmetrics-text"))
	delete(m.routes, "pprof")
	mountPprof(mux)
}

// mountPprof serves the profiles; the access table says where.
func mountPprof(mux *http.ServeMux) {
	mux.HandleFunc("GET "+api.PathPprof, func(w http.ResponseWriter, r *http.Request) {
		ctl := http.NewResponseController(w)
		_ = ctl.SetWriteDeadline(time.Time{}) // a profile takes as long as was asked for
		_ = ctl.SetReadDeadline(time.Time{})
		switch r.URL.Path[len(api.PathPprof):] {
		case "profile":
			pprof.Profile(w, r)
		case "trace":
			pprof.Trace(w, r)
		case "symbol":
			pprof.Symbol(w, r)
		case "cmdline": // arguments may hold what nobody else should read
			http.NotFound(w, r)
		default:
			pprof.Index(w, r)
		}
	})
}

// streamOfBytes describes an answer that is no JSON of this API.
func streamOfBytes(kind string) func(*huma.Operation) {
	return func(op *huma.Operation) {
		op.Responses["200"] = &huma.Response{Description: op.Summary, Content: map[string]*huma.MediaType{kind: {Schema: &huma.Schema{Type: "string", Format: "binary"}}}}
	}
}

func (s *Server) getVersion(context.Context, *none) (*out[api.Version], error) {
	return &out[api.Version]{Body: s.version}, nil
}

func (s *Server) healthz(context.Context, *none) (*out[api.Health], error) {
	return &out[api.Health]{Body: api.Health{OK: true, Uptime: s.uptime()}}, nil
}

func (s *Server) uptime() float64 { return s.now().Sub(s.started).Seconds() }

// ready answers 503 until the daemon accepts nodes.
func (s *Server) ready(context.Context, *none) (*out[api.Health], error) {
	if why := s.Health.NotReady(); len(why) > 0 {
		p := api.NewProblem(http.StatusServiceUnavailable, "not_ready", "edged is not ready: "+join(why))
		p.Hint = "it may still be starting: try again in a second"
		return nil, p
	}
	return &out[api.Health]{Body: api.Health{OK: true, Uptime: s.uptime()}}, nil
}

func (s *Server) status(context.Context, *none) (*out[api.Status], error) {
	reg := s.Store.Registry()
	now, clock := s.now(), s.Health.Clock()
	st := api.Status{
		Site: reg.Site.Name, Version: s.version.Version, StartedAt: greenhouse.MillisOf(s.started), UptimeS: s.uptime(),
		Now: greenhouse.MillisOf(now), Clock: clock, ClockTrusted: clock.Trusted, NotReady: s.Health.NotReady(), Stopped: stoppedOf(reg),
		PairingOpen: reg.Pairing(now).Open, Points: len(reg.Points), Overrides: len(reg.Overrides), Alarms: s.alarmCounts(),
		Telemetry: s.telemetryStatus(), Control: s.Automation.Control(), Broker: s.Broker.Status(), LastEvent: s.Journal.Last(),
	}
	st.Ready = len(st.NotReady) == 0
	st.Control.Epoch = reg.Epoch()
	st.Zones.ByMode = map[greenhouse.Mode]int{}
	for id, z := range reg.Zones {
		st.Zones.Total++
		st.Zones.ByMode[z.Mode]++
		if reg.StoppedZone(id) {
			st.Zones.Stopped++
		}
		if _, failing := s.Automation.Decided(id); failing != "" {
			st.Zones.Failing++
		}
	}
	st.Nodes = s.nodeCounts()
	return &out[api.Status]{Body: st}, nil
}

func (s *Server) nodeCounts() api.NodeCounts {
	c := api.NodeCounts{ByState: map[greenhouse.NodeState]int{}, Pending: s.waitingCount()}
	for uid, n := range s.Store.Registry().Nodes {
		c.ByState[n.State]++
		if n.State == greenhouse.NodeDecommissioned {
			continue
		}
		c.Total++
		if online, _ := s.Presence.Presence(uid); online {
			c.Online++
		} else {
			c.Offline++
		}
		if n.Config.Status == greenhouse.ConfigDrift || n.Config.Status == greenhouse.ConfigRejected {
			c.Drift++
		}
	}
	return c
}

// backup streams a snapshot. Whatever fails once bytes are under way cuts the
// connection, so that no client takes half a file for a whole one.
func (s *Server) backup(ctx context.Context, _ *none) (*streamed, error) {
	by := callerOf(ctx)
	return &streamed{Body: func(hc huma.Context) { //nolint:contextcheck // hc carries the request's context
		out := openBytes(hc, "application/octet-stream", "registry-"+s.now().UTC().Format("20060102T150405Z")+".db")
		if out.head {
			return
		}
		if err := s.Store.Backup(hc.Context(), out); err != nil {
			s.log.Error("backup broke off", "error", err)
			panic(http.ErrAbortHandler)
		}
		s.backedUp(by)
	}}, nil
}

// backedUp records that a backup left the house whole; the doctor looks for it.
func (s *Server) backedUp(by caller) {
	event := greenhouse.Event{TS: greenhouse.MillisOf(s.now()), Code: eventBackup, Source: greenhouse.SiteSource, Actor: by.actor}
	event.Detail, _ = json.Marshal(audit{From: by.from}) // of two strings: it cannot fail
	if err := s.Journal.Record(event); err != nil {
		s.log.Error("backup not recorded", "error", err)
	}
}

// eventBackup is the code of the event of a backup.
const eventBackup = "backup_taken"

// bytesOut is a long answer of bytes, each write of which has its own deadline.
type bytesOut struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	head bool
}

func openBytes(hc huma.Context, kind, name string) *bytesOut {
	r, w := humago.Unwrap(hc)
	o := &bytesOut{w: w, ctl: http.NewResponseController(w), head: r.Method == http.MethodHead}
	_ = o.ctl.SetReadDeadline(time.Time{}) // in memory there is none; the request has been read
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.WriteHeader(http.StatusOK)
	return o
}

// Write sends bytes within the time for one write.
func (o *bytesOut) Write(b []byte) (int, error) {
	_ = o.ctl.SetWriteDeadline(time.Now().Add(chunkTimeout)) // in memory there is none
	n, err := o.w.Write(b)
	if err != nil {
		return n, fmt.Errorf("write answer: %w", err)
	}
	return n, nil
}
