package api

import "greenhouse"

// Version says what runs.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Built   string `json:"built,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	API     string `json:"api" doc:"version of the HTTP API: v1"`
	Schema  int    `json:"schema,omitempty" doc:"version of the registry file"`
}

// Config is the configuration in force. Values that could be secret are left out.
type Config struct {
	Settings map[string]any `json:"settings" doc:"by section and key, as in the file"`
}

// Health answers the two probes.
type Health struct {
	OK     bool     `json:"ok"`
	Why    []string `json:"why,omitempty" doc:"what is missing"`
	Uptime float64  `json:"uptime_s"`
}

// Status is the site at a glance.
type Status struct {
	Site         string            `json:"site"`
	Version      string            `json:"version"`
	StartedAt    greenhouse.Millis `json:"started_at"`
	UptimeS      float64           `json:"uptime_s"`
	Now          greenhouse.Millis `json:"now" doc:"the daemon's clock"`
	Clock        greenhouse.Clock  `json:"clock" doc:"what that clock is worth: unset, holdover or synced, and why"`
	ClockTrusted bool              `json:"clock_trusted" doc:"schedules follow it"`
	Ready        bool              `json:"ready"`
	NotReady     []string          `json:"not_ready,omitempty" doc:"why not"`
	Stopped      Stopped           `json:"stopped"`
	PairingOpen  bool              `json:"pairing_open"`
	Zones        ZoneCounts        `json:"zones"`
	Nodes        NodeCounts        `json:"nodes"`
	Points       int               `json:"points"`
	Overrides    int               `json:"overrides"`
	Alarms       AlarmCounts       `json:"alarms"`
	Telemetry    TelemetryStatus   `json:"telemetry"`
	Control      ControlStatus     `json:"control"`
	Broker       BrokerStatus      `json:"broker"`
	LastEvent    uint64            `json:"last_event" doc:"number of the newest event"`
}

// ZoneCounts counts zones.
type ZoneCounts struct {
	Total   int                     `json:"total"`
	Failing int                     `json:"failing"`
	Stopped int                     `json:"stopped"`
	ByMode  map[greenhouse.Mode]int `json:"by_mode"`
}

// NodeCounts counts nodes; the decommissioned are in ByState only.
type NodeCounts struct {
	Total   int                          `json:"total"`
	Online  int                          `json:"online"`
	Offline int                          `json:"offline"`
	Drift   int                          `json:"config_drift" doc:"nodes whose configuration is not the desired one"`
	ByState map[greenhouse.NodeState]int `json:"by_state"`
	Pending int                          `json:"pending" doc:"devices that knock and are not let in, or send what nobody declared"`
}

// AlarmCounts counts open alarms.
type AlarmCounts struct {
	Critical int `json:"critical"`
	Warning  int `json:"warning"`
	Info     int `json:"info"`
	Unacked  int `json:"unacked"`
}

// Total returns all open alarms.
func (c AlarmCounts) Total() int { return c.Critical + c.Warning + c.Info }

// TelemetryStatus says how readings flow. Counts run since the daemon started.
type TelemetryStatus struct {
	QueueMessages int     `json:"queue_messages"`
	QueueFill     float64 `json:"queue_fill" doc:"0 to 1"`
	Messages      uint64  `json:"messages" doc:"committed"`
	Samples       uint64  `json:"samples" doc:"committed"`
	Syncs         uint64  `json:"syncs"`
	BytesWritten  uint64  `json:"bytes_written"`
	Refused       uint64  `json:"refused"`
	Duplicates    uint64  `json:"duplicates"`
	Dropped       uint64  `json:"dropped" doc:"QoS 0 under pressure, each with a gap record"`
	DiskBytes     int64   `json:"disk_bytes"`
	Failed        string  `json:"failed,omitempty" doc:"why nothing is being stored, while nothing is"`
}

// ControlStatus says how the last cycle of automation went.
type ControlStatus struct {
	PeriodS   float64           `json:"period_s"`
	LastCycle greenhouse.Millis `json:"last_cycle"`
	TookMS    float64           `json:"took_ms"`
	Total     int               `json:"total"`
	OK        int               `json:"ok"`
	Failed    int               `json:"failed"`
	Workers   int               `json:"workers" doc:"goroutines that decide; grows and shrinks with what a cycle costs"`
	LongestMS float64           `json:"longest_ms" doc:"the longest cycle since the start"`
	Cycles    uint64            `json:"cycles" doc:"since the start, as all below"`
	Decisions uint64            `json:"decisions"`
	Woken     uint64            `json:"woken" doc:"zones decided beside a cycle, for a reading near a limit"`
	Panics    uint64            `json:"panics" doc:"decisions that failed"`
	Overruns  uint64            `json:"overruns" doc:"cycles that took over 80 % of the period"`
	Late      uint64            `json:"late" doc:"cycles not done within the period"`
	Epoch     uint64            `json:"epoch" doc:"fencing token of this run"`
}

// BrokerStatus says who is connected. Counts run since the daemon started.
type BrokerStatus struct {
	Listening   bool     `json:"listening"`
	Addresses   []string `json:"addresses" doc:"where nodes connect: mqtt://host:port, or mqtts:// with TLS; the host is [::] where every address of the machine will do"`
	Connections int      `json:"connections"`
	Received    uint64   `json:"received" doc:"messages"`
	Sent        uint64   `json:"sent" doc:"messages"`
	Refused     uint64   `json:"refused" doc:"logins and publishes refused"`
}

// Doctor is the outcome of all checks.
type Doctor struct {
	OK     bool              `json:"ok" doc:"no check failed"`
	At     greenhouse.Millis `json:"at"`
	Checks []Check           `json:"checks"`
}

// CheckStatus is the outcome of one check.
type CheckStatus string

// The outcomes of a check.
const (
	CheckOK   CheckStatus = "ok"
	CheckWarn CheckStatus = "warn"
	CheckFail CheckStatus = "fail"
	CheckSkip CheckStatus = "skip" // does not apply, or could not be looked at
)

// Check is one check of the installation.
type Check struct {
	ID     string         `json:"id"`
	Status CheckStatus    `json:"status"`
	Text   string         `json:"text" doc:"what was found, in a sentence"`
	Hint   string         `json:"hint,omitempty" doc:"what to do"`
	Items  []string       `json:"items,omitempty" doc:"what it concerns: uids, points"`
	Values map[string]any `json:"values,omitempty" doc:"figures"`
}

// The stable ids of the checks.
const (
	CheckClock        = "clock"
	CheckDiskSpace    = "disk_space"
	CheckDiskWear     = "disk_wear"
	CheckStore        = "store"
	CheckBackupAge    = "backup_age"
	CheckBroker       = "broker"
	CheckCertificate  = "certificate"
	CheckAutoOff      = "nodes_without_auto_off"
	CheckNodesOffline = "nodes_offline"
	CheckConfigDrift  = "config_drift"
	CheckCalibration  = "sensors_past_calibration"
	CheckVersionSkew  = "version_skew"
)
