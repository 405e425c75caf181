package api

import "greenhouse"

// Node is a device, as registered and as heard.
type Node struct {
	UID        greenhouse.UID         `json:"uid"`
	HardwareID greenhouse.HardwareID  `json:"hardware_id"`
	Type       greenhouse.NodeType    `json:"type"`
	Name       string                 `json:"name"`
	Labels     map[string]string      `json:"labels"`
	Zone       greenhouse.ZoneID      `json:"zone" doc:"empty: in no zone"`
	State      greenhouse.NodeState   `json:"state"`
	ReplacedBy greenhouse.UID         `json:"replaced_by,omitempty" doc:"the node that took its place: nothing it sends is kept until it is assigned anew"`
	Reasons    []Reason               `json:"reasons" doc:"what is wrong with it now; a degraded node has at least one"`
	Online     bool                   `json:"online" doc:"computed from its session and heartbeats"`
	LastSeen   greenhouse.Millis      `json:"last_seen" doc:"0: never heard"`
	FW         string                 `json:"fw"`
	HW         string                 `json:"hw"`
	Boot       string                 `json:"boot,omitempty"`
	RSSI       *float64               `json:"rssi,omitempty" doc:"dBm, as last reported"`
	Battery    *float64               `json:"battery,omitempty" doc:"V, as last reported"`
	UptimeS    *float64               `json:"uptime_s,omitempty"`
	Address    string                 `json:"address,omitempty" doc:"where its session comes from, while online"`
	IntervalS  int                    `json:"interval_s" doc:"how often it sends, s"`
	LinkLossS  int                    `json:"link_loss_s" doc:"time without a link before it goes safe, s"`
	Channels   []Channel              `json:"channels"`
	Config     greenhouse.ConfigState `json:"config"`
	Meta
}

// Reason is one thing that is wrong with a node: an alarm of it that is raised.
type Reason struct {
	Code     string              `json:"code"`
	Severity greenhouse.Severity `json:"severity"`
	Text     string              `json:"text"`
	Since    greenhouse.Millis   `json:"since"`
}

// Channel is one measurement or output of a node with the value last heard.
type Channel struct {
	Name    greenhouse.ChannelName `json:"name"`
	Kind    greenhouse.Kind        `json:"kind"`
	Unit    greenhouse.Unit        `json:"unit"`
	Point   greenhouse.PointID     `json:"point" doc:"what it is bound to"`
	Value   *float64               `json:"value"`
	TS      greenhouse.Millis      `json:"ts" doc:"when it was measured; 0: never"`
	Quality string                 `json:"quality,omitempty" doc:"good, held, suspect, stale or bad"`

	CalEdge     bool                     `json:"cal_edge,omitempty" doc:"sensors: cal is applied by the daemon"`
	Comp        *greenhouse.Compensation `json:"comp,omitempty" doc:"sensors: temperature compensation, applied by the daemon"`
	Calibration *PointCal                `json:"calibration,omitempty" doc:"sensors: how its calibration stands"`
	ChannelSpec
}

// ChannelSpec is the part of a channel that people set.
type ChannelSpec struct {
	Class      greenhouse.Class   `json:"class,omitempty" doc:"actuators"`
	Safe       float64            `json:"safe" doc:"actuators: level without a live reason"`
	MaxOnS     int                `json:"max_on_s,omitempty" doc:"actuators: longest time on, s"`
	MaxOnHourS int                `json:"max_on_hour_s,omitempty" doc:"actuators: most time on within any hour, s; 0: as the class"`
	MaxOnDayS  int                `json:"max_on_day_s,omitempty" doc:"actuators: most time on within any 24 hours, s; 0: as the class"`
	MinOffS    int                `json:"min_off_s,omitempty" doc:"actuators: shortest time off, s"`
	Cal        *greenhouse.Linear `json:"cal,omitempty" doc:"sensors: value = gain × raw + offset"`
}

// NodeSpec is the part of a node that people set; a PATCH of a node is a merge
// patch of it.
type NodeSpec struct {
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels"`
	IntervalS int               `json:"interval_s" doc:"s; 0: the default, 10"`
	LinkLossS int               `json:"link_loss_s" doc:"s; 0: the default, 30"`
}

// NodePatch is a merge patch of [NodeSpec]; a nil field stays, a nil label is removed.
type NodePatch struct {
	Name      *string            `json:"name,omitempty"`
	Labels    map[string]*string `json:"labels,omitempty"`
	IntervalS *int               `json:"interval_s,omitempty"`
	LinkLossS *int               `json:"link_loss_s,omitempty"`
}

// ChannelPatch is a merge patch of [ChannelSpec]; a nil field stays.
type ChannelPatch struct {
	Class      *greenhouse.Class  `json:"class,omitempty"`
	Safe       *float64           `json:"safe,omitempty"`
	MaxOnS     *int               `json:"max_on_s,omitempty"`
	MaxOnHourS *int               `json:"max_on_hour_s,omitempty"`
	MaxOnDayS  *int               `json:"max_on_day_s,omitempty"`
	MinOffS    *int               `json:"min_off_s,omitempty"`
	Cal        *greenhouse.Linear `json:"cal,omitempty"`
}

// RegisterRequest registers a node. Registering the same hardware id again
// returns the same node without a secret.
type RegisterRequest struct {
	HardwareID string              `json:"hardware_id" doc:"in any form the maker prints it"`
	Type       greenhouse.NodeType `json:"type"`
	Name       string              `json:"name,omitempty"`
	Zone       greenhouse.ZoneID   `json:"zone,omitempty"`
	FW         string              `json:"fw,omitempty"`
	HW         string              `json:"hw,omitempty"`
	Channels   []DeclaredChannel   `json:"channels,omitempty" doc:"channels beside the standard names"`
}

// DeclaredChannel is a channel as a hello or a registration declares it.
type DeclaredChannel struct {
	Name greenhouse.ChannelName `json:"name"`
	Kind greenhouse.Kind        `json:"kind"`
	Unit greenhouse.Unit        `json:"unit,omitempty"`
}

// Registered is a node with its secret, which is shown the first time only.
type Registered struct {
	Node
	Secret  string `json:"secret,omitempty" doc:"shown once, the first time"`
	Created bool   `json:"created"`
}

// AssignRequest puts a node into a zone.
type AssignRequest struct {
	Zone greenhouse.ZoneID `json:"zone"`
}

// SwapRequest replaces the node of the path by another, which takes over its
// points; or undoes that.
type SwapRequest struct {
	With greenhouse.UID `json:"with" doc:"the uid of the new node"`
	Undo bool           `json:"undo,omitempty"`
}

// Swapped says what a swap changed.
type Swapped struct {
	Old      Node                 `json:"old"`
	New      Node                 `json:"new"`
	Points   []greenhouse.PointID `json:"points" doc:"points that changed hands; sensors among them want a calibration"`
	Moves    []SwapMove           `json:"moves" doc:"channel by channel"`
	Warnings []string             `json:"warnings" doc:"what to look at"`
	Missing  []greenhouse.PointID `json:"missing" doc:"points that nobody holds now: the new node has no such channel yet"`
	Undone   bool                 `json:"undone"`
}

// SwapMove is what a swap does with one channel.
type SwapMove struct {
	Channel greenhouse.ChannelName `json:"channel"`
	Point   greenhouse.PointID     `json:"point"`
	Outcome string                 `json:"outcome" enum:"moves,calibrate,kind,unit,new,missing"`
	Text    string                 `json:"text" doc:"the same in words"`
}

// NewSecret is a fresh secret of a node.
type NewSecret struct {
	UID    greenhouse.UID `json:"uid"`
	Secret string         `json:"secret" doc:"shown once"`
}

// MaintenanceRequest sets a node aside or takes it back.
type MaintenanceRequest struct {
	On bool `json:"on"`
}

// NodeConfig is the desired configuration of a node against the reported one.
type NodeConfig struct {
	UID       greenhouse.UID         `json:"uid"`
	IntervalS int                    `json:"interval_s"`
	LinkLossS int                    `json:"link_loss_s"`
	Channels  []ConfiguredChannel    `json:"channels"`
	Config    greenhouse.ConfigState `json:"config"`
}

// ConfiguredChannel is a channel as it is configured, without its values.
type ConfiguredChannel struct {
	Name  greenhouse.ChannelName `json:"name"`
	Kind  greenhouse.Kind        `json:"kind"`
	Point greenhouse.PointID     `json:"point"`
	ChannelSpec
}

// CommandRequest asks one thing of a node. A level is set by an override, never
// by a command: op is pulse, stop, calibrate, identify or reboot.
type CommandRequest struct {
	Op      greenhouse.Op          `json:"op"`
	Channel greenhouse.ChannelName `json:"channel,omitempty" doc:"needed but for identify, reboot and a stop of the whole node"`
	Value   float64                `json:"value,omitempty" doc:"calibrate: the true value"`
	Ms      int64                  `json:"ms,omitempty" doc:"pulse: length, ms"`
	ML      float64                `json:"ml,omitempty" doc:"pulse: volume, ml"`
	TTLS    int                    `json:"ttl_s,omitempty" doc:"not executed later than this, s; 0: 30"`
	Reason  string                 `json:"reason,omitempty"`
}

// Command is an order to one channel of one node and what became of it.
type Command = greenhouse.Command

// Pairing says whether devices may join, and until when. The token is in the
// answer that opened it only.
type Pairing struct {
	Open      bool              `json:"open"`
	Token     string            `json:"token,omitempty" doc:"shown once, to be given to devices"`
	ExpiresAt greenhouse.Millis `json:"expires_at,omitempty"`
}

// PairRequest opens pairing; a second call replaces the window and its token.
type PairRequest struct {
	ForS int `json:"for_s,omitempty" doc:"s, at most 86400; 0: 600"`
}
