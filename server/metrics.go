package server

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"greenhouse"
	"greenhouse/api"
)

// metrics are the figures of the API itself, and the page that shows them with
// those of all rooms. Labels are operations, status classes, modes, states and
// severities: all of them known beforehand, none grows with the greenhouse, unless
// the latest values of points are asked for, and then their number has a bound.
type metrics struct {
	page     http.Handler
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  prometheus.Counter
	panics   prometheus.Counter
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "edged_http_requests_total", Help: "Requests answered, by operation and class of status."}, []string{"operation", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "edged_http_request_seconds", Help: "Time to answer a request; streams are left out.", Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10}}, []string{"operation"}),
		refused:  prometheus.NewCounter(prometheus.CounterOpts{Name: "edged_http_refused_total", Help: "Requests refused for want of a credential or a role."}),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "edged_http_panics_total", Help: "Requests that panicked and were recovered."}),
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(m.requests, m.duration, m.refused, m.panics, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), rooms{s})
	m.page = promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: false})
	return m
}

// observe counts one answer. A request that reached no route has no operation.
func (m *metrics) observe(r api.Route, status int, took time.Duration) {
	op := r.ID
	if op == "" {
		op = "none"
	}
	if status == 0 {
		status = http.StatusOK
	}
	m.requests.WithLabelValues(op, strconv.Itoa(status/100)+"xx").Inc()
	if op != "events" && op != "live" && op != "pprof" {
		m.duration.WithLabelValues(op).Observe(took.Seconds())
	}
}

func (s *Server) getMetrics(context.Context, *none) (*streamed, error) {
	return &streamed{Body: func(hc huma.Context) { //nolint:contextcheck // hc carries the request's context
		r, w := humago.Unwrap(hc)
		r = r.Clone(hc.Context())
		r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
		s.metrics.page.ServeHTTP(w, r)
	}}, nil
}

// rooms shows the figures of all rooms as they are when asked.
type rooms struct{ s *Server }

// Describe implements prometheus.Collector; none means they are not fixed.
func (rooms) Describe(chan<- *prometheus.Desc) {}

// sheet collects figures into a channel.
type sheet struct{ ch chan<- prometheus.Metric }

func (f sheet) gauge(name, help string, v float64, labels ...string) {
	f.put(prometheus.GaugeValue, name, help, v, labels)
}

func (f sheet) counter(name, help string, v uint64) {
	f.put(prometheus.CounterValue, name+"_total", help, float64(v), nil)
}

// put adds one figure; labels are name and value in turn.
func (f sheet) put(kind prometheus.ValueType, name, help string, v float64, labels []string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	f.ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("edged_"+name, help, names, nil), kind, v, values...)
}

// Collect implements prometheus.Collector.
func (r rooms) Collect(ch chan<- prometheus.Metric) {
	f := sheet{ch}
	r.telemetry(f)
	r.registry(f)
	r.control(f)
	r.points(f)
	f.gauge("uptime_seconds", "Time since the daemon started.", r.s.uptime())
	clock := r.s.Health.Clock()
	f.gauge("clock_trusted", "1 while schedules follow the wall clock.", truth(clock.Trusted))
	for _, state := range greenhouse.ClockStates() {
		f.gauge("clock_state", "1 for the state that the wall clock is in: unset, holdover or synced.", truth(clock.State == state), "state", string(state))
	}
	f.gauge("ready", "1 while the daemon accepts nodes.", truth(len(r.s.Health.NotReady()) == 0))
	b := r.s.Broker.Status()
	f.gauge("broker_connections", "MQTT connections.", float64(b.Connections))
	f.counter("broker_received", "MQTT messages received.", b.Received)
	f.counter("broker_sent", "MQTT messages sent.", b.Sent)
	f.counter("broker_refused", "MQTT logins and publishes refused.", b.Refused)
	f.gauge("streams", "Open streams of the API.", float64(len(r.s.events)), "stream", "events")
	f.gauge("streams", "Open streams of the API.", float64(len(r.s.lives)), "stream", "live")
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// points shows the latest good values of as many points as were asked for. One
// that is bad, doubted or too old is left out: a metric cannot say so.
func (r rooms) points(f sheet) {
	if r.s.opts.Gauges <= 0 {
		return
	}
	v := r.s.look(r.s.Store.Registry())
	ids := slices.Sorted(maps.Keys(v.reg.Points))
	for _, id := range ids[:min(len(ids), r.s.opts.Gauges)] {
		p := v.reg.Points[id]
		if l, heard := r.s.Telemetry.Latest(id); heard && v.quality(p, l) == greenhouse.Good {
			f.gauge("point_value", "Latest good value of a point.", l.Value, "point", string(id), "unit", string(p.Unit))
		}
	}
}

func (r rooms) telemetry(f sheet) {
	t, st := r.s.telemetryStatus(), r.s.Telemetry.Stats()
	f.gauge("telemetry_hanging", "1 while the disk does not answer.", truth(st.Hanging))
	f.gauge("telemetry_shedding", "1 while the disk fills up and trends are not stored.", truth(st.Shedding))
	f.gauge("telemetry_provisional", "Readings that wait for the clock to be known.", float64(st.Provisional))
	f.counter("telemetry_shed", "Samples left out because the disk fills up, each with a gap record.", count(st.Shed))
	f.counter("telemetry_days_dropped", "Days whose readings were deleted by age or disk budget.", count(st.DaysDropped))
	f.counter("telemetry_summary_months_dropped", "Months of summaries deleted by age or disk budget.", count(st.LevelsDropped))
	f.gauge("telemetry_queue_messages", "Messages waiting for a commit.", float64(t.QueueMessages))
	f.gauge("telemetry_queue_fill", "Fill of the queue, 0 to 1.", t.QueueFill)
	f.gauge("telemetry_disk_bytes", "History on disk.", float64(t.DiskBytes))
	f.gauge("telemetry_failed", "1 while nothing can be stored.", truth(t.Failed != ""))
	f.counter("telemetry_messages", "Messages committed.", t.Messages)
	f.counter("telemetry_samples", "Samples committed.", t.Samples)
	f.counter("telemetry_syncs", "Syncs of the log.", t.Syncs)
	f.counter("telemetry_written_bytes", "Bytes written.", t.BytesWritten)
	f.counter("telemetry_refused", "Samples refused.", t.Refused)
	f.counter("telemetry_duplicates", "Samples that were there already.", t.Duplicates)
	f.counter("telemetry_dropped", "QoS 0 messages dropped under pressure, each with a gap record.", t.Dropped)
}

func (r rooms) registry(f sheet) {
	st := r.s.Store.Stats()
	f.counter("registry_commits", "Commits of the registry.", st.Commits)
	f.counter("registry_failed_commits", "Commits of the registry that failed.", st.Failed)
	f.gauge("registry_file_bytes", "Size of the registry.", float64(st.FileBytes))
	f.gauge("registry_unknown", "1 while the registry refuses writes until it was verified.", truth(st.Unknown))
	f.gauge("journal_last_event", "Number of the newest event.", float64(r.s.Journal.Last()))
	n := r.s.nodeCounts()
	f.gauge("nodes_online", "Nodes online.", float64(n.Online))
	f.gauge("nodes_offline", "Nodes offline, the decommissioned left out.", float64(n.Offline))
	f.gauge("nodes_config_drift", "Nodes whose configuration is not the desired one.", float64(n.Drift))
	for _, state := range []greenhouse.NodeState{greenhouse.NodeRegistered, greenhouse.NodeAssigned, greenhouse.NodeActive, greenhouse.NodeDegraded, greenhouse.NodeMaintenance, greenhouse.NodeDecommissioned} {
		f.gauge("nodes", "Nodes by state.", float64(n.ByState[state]), "state", string(state))
	}
	a := r.s.alarmCounts()
	for severity, count := range map[greenhouse.Severity]int{greenhouse.Critical: a.Critical, greenhouse.Warning: a.Warning, greenhouse.Info: a.Info} {
		f.gauge("alarms", "Open alarms by severity.", float64(count), "severity", string(severity))
	}
	f.gauge("alarms_unacked", "Open alarms nobody has acknowledged.", float64(a.Unacked))
}

func (r rooms) control(f sheet) {
	reg := r.s.Store.Registry()
	modes := map[greenhouse.Mode]int{}
	for _, z := range reg.Zones {
		modes[z.Mode]++
	}
	for _, m := range []greenhouse.Mode{greenhouse.ModeAuto, greenhouse.ModeManual, greenhouse.ModeMaintenance, greenhouse.ModeOff} {
		f.gauge("zones", "Zones by mode.", float64(modes[m]), "mode", string(m))
	}
	f.gauge("points", "Points.", float64(len(reg.Points)))
	f.gauge("overrides", "Levels set by hand.", float64(len(reg.Overrides)))
	f.gauge("stopped", "1 while the whole site is under emergency stop.", truth(reg.StopAll))
	c := r.s.Automation.Control()
	f.gauge("control_period_seconds", "Target time of a cycle.", c.PeriodS)
	f.gauge("control_cycle_seconds", "Time the last cycle took.", c.TookMS/1000)
	f.gauge("control_zones", "Zones of the last cycle.", float64(c.OK), "outcome", "ok")
	f.gauge("control_zones", "Zones of the last cycle.", float64(c.Failed), "outcome", "failed")
	f.gauge("control_workers", "Goroutines that decide.", float64(c.Workers))
	f.gauge("control_cycle_longest_seconds", "Time the longest cycle took since the start.", c.LongestMS/1000)
	f.counter("control_cycles", "Cycles.", c.Cycles)
	f.counter("control_decisions", "Decisions made.", c.Decisions)
	f.counter("control_woken", "Zones decided beside a cycle.", c.Woken)
	f.counter("control_panics", "Decisions that failed.", c.Panics)
	f.counter("control_overruns", "Cycles that took over 80 % of the period.", c.Overruns)
	f.counter("control_late", "Cycles not done within the period.", c.Late)
}
