package edge

import (
	"greenhouse"
	"greenhouse/wire"
)

// gone reports whether a node is retired, or was never there.
func (d *Daemon) gone(uid greenhouse.UID) bool {
	n, ok := d.store.Registry().Nodes[uid]
	return !ok || n.State == greenhouse.NodeDecommissioned
}

// dropRetained forgets what is retained on the topics of a node.
func (d *Daemon) dropRetained(uid greenhouse.UID) {
	for _, k := range []wire.Kind{wire.KindStatus, wire.KindConfig} {
		d.broker.DropRetained(wire.NodeTopic(k, uid).String())
	}
}
