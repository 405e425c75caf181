package greenhouse

// NodeStep is one step in the life of a node, and what makes it.
type NodeStep struct {
	From, To NodeState
	By       string
}

// NodeSteps returns the whole life of a node: every step there is. Staying where
// it is, as when a node in maintenance moves to another zone, is no step.
func NodeSteps() []NodeStep {
	const assign, unassign, moved, maintenance, back = "assigned to a zone", "taken out of its zone", "moved to another zone", "set aside by a person", "taken back by a person"
	return []NodeStep{
		{NodeRegistered, NodeAssigned, assign},
		{NodeAssigned, NodeActive, "heard in its zone"},
		{NodeAssigned, NodeDegraded, "heard in its zone, with something wrong"},
		{NodeActive, NodeDegraded, "something is wrong"},
		{NodeDegraded, NodeActive, "nothing is wrong any more"},

		{NodeActive, NodeAssigned, moved},
		{NodeDegraded, NodeAssigned, moved},
		{NodeAssigned, NodeRegistered, unassign},
		{NodeActive, NodeRegistered, unassign},
		{NodeDegraded, NodeRegistered, unassign},
		{NodeMaintenance, NodeRegistered, unassign},

		{NodeAssigned, NodeMaintenance, maintenance},
		{NodeActive, NodeMaintenance, maintenance},
		{NodeDegraded, NodeMaintenance, maintenance},
		{NodeMaintenance, NodeAssigned, back},

		{NodeRegistered, NodeDecommissioned, "retired"},
		{NodeAssigned, NodeDecommissioned, "retired"},
		{NodeActive, NodeDecommissioned, "retired"},
		{NodeDegraded, NodeDecommissioned, "retired"},
		{NodeMaintenance, NodeDecommissioned, "retired"},
	}
}

// CanBecome reports whether a node may go from state s to t, or is there.
func (s NodeState) CanBecome(t NodeState) bool {
	if s == t {
		return true
	}
	for _, step := range NodeSteps() {
		if step.From == s && step.To == t {
			return true
		}
	}
	return false
}

// NodeStates returns all states, in the order of life.
func NodeStates() []NodeState {
	return []NodeState{NodeRegistered, NodeAssigned, NodeActive, NodeDegraded, NodeMaintenance, NodeDecommissioned}
}

// ParseNodeState returns the state named s.
func ParseNodeState(s string) (NodeState, error) {
	for _, state := range NodeStates() {
		if string(state) == s {
			return state, nil
		}
	}
	return "", Invalid("node_state_invalid", "state %q is unknown: it is registered, assigned, active, degraded, maintenance or decommissioned", s)
}
