package api

import (
	"net/http"
	"net/url"
	"strings"
)

// The paths of the API. A {name} stands for one path-escaped segment: the point
// north/air_temp is /v1/points/north%2Fair_temp. Fill them with [Path].
const (
	PathVersion     = "/v1/version"
	PathStatus      = "/v1/status"
	PathDoctor      = "/v1/doctor"
	PathConfig      = "/v1/config"
	PathHealthz     = "/v1/healthz"
	PathReady       = "/v1/ready"
	PathMetrics     = "/metrics"
	PathOpenAPI     = "/openapi.json"
	PathPprof       = "/debug/pprof/"
	PathBackup      = "/v1/backup"
	PathCA          = "/v1/ca"
	PathCARotate    = "/v1/ca/rotate"
	PathVerify      = "/v1/events/verify"
	PathSite        = "/v1/site"
	PathLive        = "/v1/live"
	PathEvents      = "/v1/events"
	PathAlarms      = "/v1/alarms"
	PathAlarm       = "/v1/alarms/{id}"
	PathAlarmAck    = "/v1/alarms/{id}/ack"
	PathAlarmShelve = "/v1/alarms/{id}/shelve"

	PathNodes            = "/v1/nodes"
	PathNode             = "/v1/nodes/{uid}"
	PathNodeAssign       = "/v1/nodes/{uid}/assign"
	PathNodeUnassign     = "/v1/nodes/{uid}/unassign"
	PathNodeSwap         = "/v1/nodes/{uid}/swap"
	PathNodeRotateKey    = "/v1/nodes/{uid}/rotate-key"
	PathNodeDecommission = "/v1/nodes/{uid}/decommission"
	PathNodeMaintenance  = "/v1/nodes/{uid}/maintenance"
	PathNodeConfig       = "/v1/nodes/{uid}/config"
	PathConfigHistory    = "/v1/nodes/{uid}/config/history"
	PathConfigRollback   = "/v1/nodes/{uid}/config/rollback"
	PathNodeChannel      = "/v1/nodes/{uid}/channels/{channel}"
	PathCalibration      = "/v1/nodes/{uid}/channels/{channel}/calibration"
	PathNodeCommands     = "/v1/nodes/{uid}/commands"
	PathPairing          = "/v1/pairing"
	PathPending          = "/v1/pending"
	PathPendingDevice    = "/v1/pending/{id}"
	PathPendingAdopt     = "/v1/pending/{id}/adopt"
	PathCommands         = "/v1/commands"
	PathCommand          = "/v1/commands/{id}"

	PathZones      = "/v1/zones"
	PathZone       = "/v1/zones/{id}"
	PathZoneTarget = "/v1/zones/{id}/targets/{quantity}"
	PathZonePlan   = "/v1/zones/{id}/schedule"
	PathZoneCurve  = "/v1/zones/{id}/schedule/{quantity}"
	PathZoneAdjust = "/v1/zones/{id}/adjustments/{quantity}"
	PathZoneMode   = "/v1/zones/{id}/mode"
	PathZoneRecipe = "/v1/zones/{id}/recipe"
	PathStop       = "/v1/stop"
	PathResume     = "/v1/resume"

	PathZoneWhy       = "/v1/zones/{id}/why"
	PathPoints        = "/v1/points"
	PathPoint         = "/v1/points/{id}"
	PathPointHistory  = "/v1/points/{id}/history"
	PathPointGaps     = "/v1/points/{id}/gaps"
	PathPointWhy      = "/v1/points/{id}/why"
	PathPointWhyNot   = "/v1/points/{id}/why-not"
	PathPointOverride = "/v1/points/{id}/override"
	PathPointBind     = "/v1/points/{id}/bind"
	PathOverrides     = "/v1/overrides"
	PathGaps          = "/v1/gaps"
	PathExport        = "/v1/export"

	PathZoneAdvance    = "/v1/zones/{id}/recipe/advance"
	PathZoneStopRecipe = "/v1/zones/{id}/recipe/stop"
	PathRecipes        = "/v1/recipes"
	PathRecipe         = "/v1/recipes/{id}"

	PathAccounts = "/v1/accounts"
	PathAccount  = "/v1/accounts/{name}"
	PathTokens   = "/v1/tokens"
	PathToken    = "/v1/tokens/{name}"

	PathUsers        = "/v1/users"
	PathUser         = "/v1/users/{name}"
	PathUserPassword = "/v1/users/{name}/password"
	PathLogin        = "/v1/login"

	PathSim       = "/v1/sim"
	PathSimFaults = "/v1/sim/faults"
	PathSimFault  = "/v1/sim/faults/{id}"
)

// Header and query names that the API adds to plain HTTP.
const (
	// HeaderIdempotencyKey makes repeating a POST harmless: up to 128 printable bytes.
	HeaderIdempotencyKey = "Idempotency-Key"
	// HeaderReason says why, for the audit: up to 500 bytes, percent-encoded.
	HeaderReason = "Greenhouse-Reason"
	// HeaderReplayed marks an answer given before under the same key.
	HeaderReplayed = "Idempotency-Replayed"
	// HeaderDryRun marks an answer of which nothing was kept.
	HeaderDryRun = "Greenhouse-Dry-Run"
	// QueryDryRun set to true runs the write and keeps nothing.
	QueryDryRun = "dry_run"
)

// MergePatch is the media type of a PATCH body; application/json is taken too.
const MergePatch = "application/merge-patch+json"

// EventStream is the media type of the two streams.
const EventStream = "text/event-stream"

// Path fills the {…} of a path with ids, in order, each path-escaped. Missing
// ids leave their {…} standing, which no server answers.
func Path(pattern string, ids ...string) string {
	var b strings.Builder
	for _, id := range ids {
		before, rest, ok := strings.Cut(pattern, "{")
		_, after, closed := strings.Cut(rest, "}")
		if !ok || !closed {
			break
		}
		b.WriteString(before)
		b.WriteString(url.PathEscape(id))
		pattern = after
	}
	b.WriteString(pattern)
	return b.String()
}

// Role says what a token may do. Each includes those before it.
type Role string

// The roles, least first. The peer of the unix socket is admin.
const (
	RoleNone     Role = ""         // no credential: health and version only
	RoleViewer   Role = "viewer"   // reads
	RoleOperator Role = "operator" // acks, overrides, modes, emergency stop
	RoleGrower   Role = "grower"   // targets, zones' parameters, recipes
	RoleAdmin    Role = "admin"    // nodes, accounts, tokens, backup
)

// Rank orders roles: 0 for none to 4 for admin, -1 for an unknown one.
func (r Role) Rank() int {
	switch r {
	case RoleNone:
		return 0
	case RoleViewer:
		return 1
	case RoleOperator:
		return 2
	case RoleGrower:
		return 3
	case RoleAdmin:
		return 4
	}
	return -1
}

// May reports whether r includes need.
func (r Role) May(need Role) bool { return need.Rank() >= 0 && r.Rank() >= need.Rank() }

// Route is one operation of the API.
type Route struct {
	Method string
	Path   string
	Role   Role   // the least role that may call it
	ID     string // operation id in the OpenAPI document
	What   string // one line
	Socket bool   // served on the unix socket only
	Demo   bool   // served by "edged demo" only
	Stop   bool   // works while the registry cannot write (emergency stop)

	Versioned bool // changes one record: If-Match may name the version that was read
}

// Routes returns every operation, with the least role that may call it: the
// access table of the API, and its only one.
func Routes() []Route {
	r := append(routesRead(), routesNodes()...)
	r = append(r, routesZones()...)
	r = append(r, routesAdmin()...)
	for i := range r {
		r[i].Versioned = versioned(r[i].ID)
	}
	return r
}

// versioned reports whether an operation changes one record that was there
// before. The others make something, or give an order: they have no version to
// name, and refuse one rather than ignore it.
func versioned(id string) bool {
	switch id {
	case "node-edit", "node-channel-edit", "node-assign", "node-unassign", "node-swap", "node-rotate-key", "node-decommission", "node-maintenance", "node-config-rollback",
		"calibration-set", "point-bind", "zone-edit", "zone-delete", "zone-target-set", "zone-target-clear",
		"zone-curve-set", "zone-curve-clear", "recipe-edit", "recipe-delete", "recipe-start", "recipe-advance", "recipe-stop", "zone-adjust", "zone-adjust-end", "zone-mode", "site-edit",
		"point-edit", "override-set", "override-release", "alarm-ack", "alarm-shelve", "account-delete", "token-delete", "user-password", "user-delete":
		return true
	}
	return false
}

func routesRead() []Route {
	get := func(path string, role Role, id, what string) Route {
		return Route{Method: http.MethodGet, Path: path, Role: role, ID: id, What: what}
	}
	pprof := get(PathPprof, RoleAdmin, "pprof", "Go profiles")
	pprof.Socket = true
	return []Route{
		get(PathVersion, RoleNone, "version", "Version of the daemon and of the API"),
		get(PathHealthz, RoleNone, "healthz", "Whether the daemon lives"),
		get(PathReady, RoleNone, "ready", "Whether the daemon accepts nodes"),
		get(PathCA, RoleNone, "ca-get", "The certificate authority of this daemon, which is public"),
		get(PathOpenAPI, RoleViewer, "openapi", "This API as OpenAPI 3.1"),
		get(PathMetrics, RoleViewer, "metrics", "Metrics in the OpenMetrics format"),
		get(PathStatus, RoleViewer, "status", "The site at a glance"),
		get(PathDoctor, RoleViewer, "doctor", "Checks of the installation, each with a stable id"),
		get(PathSite, RoleViewer, "site-get", "The site"),
		get(PathNodes, RoleViewer, "node-list", "All nodes"),
		get(PathNode, RoleViewer, "node-get", "One node"),
		get(PathNodeConfig, RoleViewer, "node-config", "Desired and reported configuration of a node"),
		get(PathCalibration, RoleViewer, "calibration-get", "What calibrating a channel needs, and the calibrations there were"),
		get(PathConfigHistory, RoleViewer, "node-config-history", "Revisions of the configuration of a node, newest first"),
		get(PathCommands, RoleViewer, "command-list", "Commands, newest first"),
		get(PathCommand, RoleViewer, "command-get", "One command"),
		get(PathZones, RoleViewer, "zone-list", "All zones with their climate"),
		get(PathZone, RoleViewer, "zone-get", "One zone with its climate and actuators"),
		get(PathZonePlan, RoleViewer, "zone-plan", "What the set-points of a zone do on a date"),
		get(PathZoneRecipe, RoleViewer, "recipe-run", "The recipe a zone grows by, and how far it is"),
		get(PathRecipes, RoleViewer, "recipe-list", "All recipes"),
		get(PathRecipe, RoleViewer, "recipe-get", "One recipe"),
		get(PathPoints, RoleViewer, "point-list", "All points with their latest values"),
		get(PathPoint, RoleViewer, "point-get", "One point with its latest value"),
		get(PathPointHistory, RoleViewer, "point-history", "Readings of a point"),
		get(PathPointGaps, RoleViewer, "point-gaps", "Recorded losses of a point"),
		get(PathPointWhy, RoleViewer, "point-why", "Why an actuator has its level"),
		get(PathPointWhyNot, RoleViewer, "point-why-not", "What keeps an actuator from a level"),
		get(PathZoneWhy, RoleViewer, "zone-why", "Why the actuators of a zone have their levels"),
		get(PathGaps, RoleViewer, "gap-list", "Recorded losses of all points"),
		get(PathExport, RoleViewer, "point-export", "Readings of several points as CSV or JSON lines, streamed"),
		get(PathOverrides, RoleViewer, "override-list", "Levels set by hand"),
		get(PathAlarms, RoleViewer, "alarm-list", "Alarms"),
		get(PathAlarm, RoleViewer, "alarm-get", "One alarm"),
		get(PathEvents, RoleViewer, "events", "Events: a stream, or a list where JSON is asked for"),
		get(PathVerify, RoleViewer, "event-verify", "Whether the event log is as it was written"),
		get(PathLive, RoleViewer, "live", "Latest values as a stream"),
		pprof,
	}
}

func routesNodes() []Route {
	post := func(path, id, what string) Route {
		return Route{Method: http.MethodPost, Path: path, Role: RoleAdmin, ID: id, What: what}
	}
	command := post(PathNodeCommands, "command-create", "Send a command to a node")
	command.Role = RoleOperator
	maintenance := post(PathNodeMaintenance, "node-maintenance", "Set a node aside, or take it back")
	maintenance.Role = RoleOperator
	return []Route{
		post(PathNodes, "node-register", "Register a node; the same hardware id again returns the same node"),
		{Method: http.MethodPatch, Path: PathNode, Role: RoleAdmin, ID: "node-edit", What: "Change a node"},
		{Method: http.MethodPatch, Path: PathNodeChannel, Role: RoleAdmin, ID: "node-channel-edit", What: "Change or calibrate a channel of a node"},
		post(PathNodeAssign, "node-assign", "Put a node into a zone"),
		post(PathNodeUnassign, "node-unassign", "Take a node out of its zone"),
		post(PathNodeSwap, "node-swap", "Replace a node by another, or undo it"),
		{Method: http.MethodPost, Path: PathCalibration, Role: RoleGrower, ID: "calibration-set", What: "Calibrate a sensor"},
		{Method: http.MethodPost, Path: PathPointBind, Role: RoleAdmin, ID: "point-bind", What: "Bind a point to another channel"},
		post(PathConfigRollback, "node-config-rollback", "Bring an earlier configuration of a node back, as a new revision"),
		post(PathNodeRotateKey, "node-rotate-key", "Give a node a new secret"),
		post(PathNodeDecommission, "node-decommission", "Retire a node for ever"),
		maintenance,
		command,
		{Method: http.MethodGet, Path: PathPairing, Role: RoleAdmin, ID: "pairing-get", What: "Whether pairing is open"},
		post(PathPairing, "pairing-open", "Open pairing and get the join token"),
		{Method: http.MethodGet, Path: PathPending, Role: RoleViewer, ID: "pending-list", What: "Devices that knock and are not let in"},
		post(PathPendingAdopt, "pending-adopt", "Take a pending device in, or accept undeclared channels of a node"),
		{Method: http.MethodDelete, Path: PathPendingDevice, Role: RoleAdmin, ID: "pending-forget", What: "Take a pending device off the list"},
		{Method: http.MethodDelete, Path: PathPairing, Role: RoleAdmin, ID: "pairing-close", What: "Close pairing"},
	}
}

func routesZones() []Route {
	return []Route{
		{Method: http.MethodPost, Path: PathZones, Role: RoleGrower, ID: "zone-create", What: "Create a zone"},
		{Method: http.MethodPatch, Path: PathZone, Role: RoleGrower, ID: "zone-edit", What: "Change a zone"},
		{Method: http.MethodDelete, Path: PathZone, Role: RoleAdmin, ID: "zone-delete", What: "Delete a zone without points bound to nodes"},
		{Method: http.MethodPut, Path: PathZoneTarget, Role: RoleGrower, ID: "zone-target-set", What: "Set one target"},
		{Method: http.MethodDelete, Path: PathZoneTarget, Role: RoleGrower, ID: "zone-target-clear", What: "Clear one target"},
		{Method: http.MethodPut, Path: PathZoneCurve, Role: RoleGrower, ID: "zone-curve-set", What: "Give a set-point a curve over the day"},
		{Method: http.MethodDelete, Path: PathZoneCurve, Role: RoleGrower, ID: "zone-curve-clear", What: "Take its curve from a set-point"},
		{Method: http.MethodPut, Path: PathZoneAdjust, Role: RoleGrower, ID: "zone-adjust", What: "Offset or hold a set-point, for a time"},
		{Method: http.MethodDelete, Path: PathZoneAdjust, Role: RoleGrower, ID: "zone-adjust-end", What: "End the offset and the hold of a set-point"},
		{Method: http.MethodPost, Path: PathRecipes, Role: RoleGrower, ID: "recipe-create", What: "Create a recipe"},
		{Method: http.MethodPatch, Path: PathRecipe, Role: RoleGrower, ID: "recipe-edit", What: "Change a recipe; zones that grow by it keep what they began with"},
		{Method: http.MethodDelete, Path: PathRecipe, Role: RoleGrower, ID: "recipe-delete", What: "Delete a recipe that no zone grows by"},
		{Method: http.MethodPost, Path: PathZoneRecipe, Role: RoleGrower, ID: "recipe-start", What: "Put a zone on a recipe"},
		{Method: http.MethodPost, Path: PathZoneAdvance, Role: RoleGrower, ID: "recipe-advance", What: "Take a zone to another phase of its recipe"},
		{Method: http.MethodPost, Path: PathZoneStopRecipe, Role: RoleGrower, ID: "recipe-stop", What: "Take a zone off its recipe"},
		{Method: http.MethodPut, Path: PathZoneMode, Role: RoleOperator, ID: "zone-mode", What: "Set the mode of a zone"},
		{Method: http.MethodPatch, Path: PathPoint, Role: RoleGrower, ID: "point-edit", What: "Change a point"},
		{Method: http.MethodPut, Path: PathPointOverride, Role: RoleOperator, ID: "override-set", What: "Set an actuator by hand, for a time"},
		{Method: http.MethodDelete, Path: PathPointOverride, Role: RoleOperator, ID: "override-release", What: "Give an actuator back to automation"},
		{Method: http.MethodPost, Path: PathStop, Role: RoleOperator, ID: "stop", What: "Emergency stop of the site or a zone, latched", Stop: true},
		{Method: http.MethodPost, Path: PathResume, Role: RoleOperator, ID: "resume", What: "Release an emergency stop"},
		{Method: http.MethodPost, Path: PathAlarmAck, Role: RoleOperator, ID: "alarm-ack", What: "Acknowledge an alarm"},
		{Method: http.MethodPost, Path: PathAlarmShelve, Role: RoleOperator, ID: "alarm-shelve", What: "Hide an alarm for a time"},
	}
}

func routesAdmin() []Route {
	admin := func(method, path, id, what string) Route {
		return Route{Method: method, Path: path, Role: RoleAdmin, ID: id, What: what}
	}
	demo := func(method, path string, role Role, id, what string) Route {
		return Route{Method: method, Path: path, Role: role, ID: id, What: what, Demo: true}
	}
	return []Route{
		admin(http.MethodGet, PathConfig, "config-get", "The configuration in force, without secrets"),
		admin(http.MethodPatch, PathSite, "site-edit", "Change the site"),
		admin(http.MethodPost, PathCARotate, "ca-rotate", "Replace the certificate authority, with an overlap"),
		admin(http.MethodGet, PathBackup, "backup", "A snapshot of the registry, streamed"),
		admin(http.MethodGet, PathAccounts, "account-list", "MQTT logins of bridges and integrations"),
		admin(http.MethodPost, PathAccounts, "account-create", "Create an MQTT login; its secret is shown once"),
		admin(http.MethodDelete, PathAccount, "account-delete", "Delete an MQTT login and close its session"),
		admin(http.MethodGet, PathTokens, "token-list", "API tokens"),
		admin(http.MethodPost, PathTokens, "token-create", "Create an API token; its secret is shown once"),
		admin(http.MethodDelete, PathToken, "token-delete", "Revoke an API token"),
		admin(http.MethodGet, PathUsers, "user-list", "People who log in with a password"),
		admin(http.MethodPost, PathUsers, "user-create", "Create a user"),
		admin(http.MethodDelete, PathUser, "user-delete", "Delete a user and end their logins"),
		{Method: http.MethodPut, Path: PathUserPassword, Role: RoleViewer, ID: "user-password", What: "Change a password: one's own, or as admin any"},
		{Method: http.MethodPost, Path: PathLogin, Role: RoleNone, ID: "login", What: "Log in with a password and get a token"},
		{Method: http.MethodDelete, Path: PathLogin, Role: RoleViewer, ID: "logout", What: "End the login whose token this is"},
		demo(http.MethodGet, PathSim, RoleViewer, "sim-get", "The simulated greenhouse"),
		demo(http.MethodGet, PathSimFaults, RoleViewer, "sim-fault-list", "Faults now injected"),
		demo(http.MethodPost, PathSimFaults, RoleOperator, "sim-fault-inject", "Inject a fault"),
		demo(http.MethodDelete, PathSimFaults, RoleOperator, "sim-fault-clear-all", "Clear all faults"),
		demo(http.MethodDelete, PathSimFault, RoleOperator, "sim-fault-clear", "Clear one fault"),
	}
}
