package greenhouse

// Meta is what every record that people can edit carries. An edit names the
// version it read and is refused when that is not the stored one.
type Meta struct {
	Version   uint64 `json:"version"` // starts at 1
	CreatedAt Millis `json:"created_at"`
	UpdatedAt Millis `json:"updated_at"`
}

// NodeState is where a node stands in its life.
type NodeState string

// The lifecycle, whose steps are those of [NodeSteps]: registered → assigned →
// active ⇄ degraded, maintenance from any of the last three, decommissioned at the end. Being online is no state:
// it is computed.
const (
	NodeRegistered     NodeState = "registered"     // known, in no zone
	NodeAssigned       NodeState = "assigned"       // in a zone, not heard since
	NodeActive         NodeState = "active"         // in a zone and working
	NodeDegraded       NodeState = "degraded"       // in a zone, with something wrong
	NodeMaintenance    NodeState = "maintenance"    // set aside by a person
	NodeDecommissioned NodeState = "decommissioned" // final
)

// Node is a device known to the registry.
type Node struct {
	UID        UID               `json:"uid"`
	HardwareID HardwareID        `json:"hardware_id"`
	Type       NodeType          `json:"type"`
	Name       string            `json:"name"`
	Labels     map[string]string `json:"labels,omitempty"`
	Zone       ZoneID            `json:"zone,omitempty"`
	State      NodeState         `json:"state"`
	ReplacedBy UID               `json:"replaced_by,omitempty"` // the node that took its place: nothing it sends is kept until it is assigned anew
	FW         string            `json:"fw,omitempty"`          // firmware version, as the node says
	HW         string            `json:"hw,omitempty"`          // hardware revision, as the node says
	Boot       string            `json:"boot,omitempty"`        // the boot id last heard
	IntervalS  int               `json:"interval_s"`            // how often it sends, s; 0 means 10
	LinkLossS  int               `json:"link_loss_s"`           // how long without a link before it goes safe, s; 0 means 30
	Channels   []Channel         `json:"channels"`
	Config     ConfigState       `json:"config"`
	Meta
}

// Channel is one measurement or output of a node.
type Channel struct {
	Name       ChannelName `json:"name"`
	Kind       Kind        `json:"kind"`
	Unit       Unit        `json:"unit,omitempty"`
	Point      PointID     `json:"point,omitempty"`         // the point it is bound to
	Class      Class       `json:"class,omitempty"`         // actuators
	Safe       float64     `json:"safe"`                    // actuators: level without a live reason
	MaxOnS     int         `json:"max_on_s,omitempty"`      // actuators: longest time on, s
	MaxOnHourS int         `json:"max_on_hour_s,omitempty"` // actuators: most time on within any hour, s; kept by the daemon
	MaxOnDayS  int         `json:"max_on_day_s,omitempty"`  // the same within any 24 hours
	MinOffS    int         `json:"min_off_s,omitempty"`
	Cal        *Linear     `json:"cal,omitempty"` // sensors: applied by the node

	CalEdge    bool          `json:"cal_edge,omitempty"`   // sensors: Cal is applied by the daemon, for the node cannot
	Comp       *Compensation `json:"comp,omitempty"`       // sensors: temperature compensation, applied by the daemon
	Calibrated *CalMark      `json:"calibrated,omitempty"` // sensors: the last calibration, nil for none
}

// Linear is a calibration: value = gain × raw + offset.
type Linear struct {
	Offset float64 `json:"offset"`
	Gain   float64 `json:"gain"`
}

// ConfigStatus says how a node's configuration stands.
type ConfigStatus string

// A configuration is pending until the node reports the desired revision and hash.
const (
	ConfigPending  ConfigStatus = "pending"
	ConfigApplied  ConfigStatus = "applied"
	ConfigRejected ConfigStatus = "rejected"
	ConfigDrift    ConfigStatus = "drift" // the node reports something else
)

// ConfigState is the desired configuration against the reported one.
type ConfigState struct {
	DesiredRev   uint64       `json:"desired_rev"`
	DesiredHash  string       `json:"desired_hash,omitempty"`
	ReportedRev  uint64       `json:"reported_rev"`
	ReportedHash string       `json:"reported_hash,omitempty"`
	Status       ConfigStatus `json:"status"`
	Error        string       `json:"error,omitempty"` // the node's reason for rejecting
}

// Channel returns the channel of that name.
func (n *Node) Channel(name ChannelName) (*Channel, bool) {
	for i := range n.Channels {
		if n.Channels[i].Name == name {
			return &n.Channels[i], true
		}
	}
	return nil, false
}
