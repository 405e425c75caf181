package api

import "greenhouse"

// Sim is the simulated greenhouse of "edged demo".
type Sim struct {
	Seed   uint64            `json:"seed"`
	Speed  float64           `json:"speed" doc:"simulated seconds a second"`
	Now    greenhouse.Millis `json:"now" doc:"simulated time"`
	Nodes  []SimNode         `json:"nodes"`
	Faults []SimFault        `json:"faults" doc:"injected now"`
	Known  []SimFaultKind    `json:"known" doc:"faults that can be injected"`
}

// SimNode is one simulated node.
type SimNode struct {
	UID        greenhouse.UID        `json:"uid"`
	HardwareID greenhouse.HardwareID `json:"hardware_id"`
	Type       greenhouse.NodeType   `json:"type"`
	Zone       greenhouse.ZoneID     `json:"zone"`
	Online     bool                  `json:"online"`
}

// SimFaultKind is a fault that can be injected.
type SimFaultKind struct {
	Name   string `json:"name" doc:"e.g. sensor_stuck, node_silent, link_loss"`
	What   string `json:"what" doc:"one sentence"`
	Target string `json:"target" doc:"what it needs: node, point, zone or site"`
}

// SimFaultRequest injects a fault.
type SimFaultRequest struct {
	Name   string  `json:"name"`
	Target string  `json:"target,omitempty" doc:"a uid, point or zone; empty for the site"`
	Value  float64 `json:"value,omitempty" doc:"strength, where the fault has one"`
	ForS   int     `json:"for_s,omitempty" doc:"simulated s; 0: until cleared"`
}

// SimFault is a fault injected now.
type SimFault struct {
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	Target string            `json:"target"`
	Value  float64           `json:"value,omitempty"`
	Since  greenhouse.Millis `json:"since"`
	Until  greenhouse.Millis `json:"until,omitempty"`
}
