package api

import "greenhouse"

// Pending is a device in quarantine: it knocked and was not let in, or it is a
// node that sends channels nobody declared. It is kept in memory only, for a day
// after it was last heard: a device that wants in knocks again.
type Pending struct {
	ID        string              `json:"id" doc:"canonical hardware id, or the uid it uses"`
	Node      greenhouse.UID      `json:"node,omitempty" doc:"the node of the registry that it is, or says it is"`
	Count     uint64              `json:"count" doc:"refusals"`
	FirstSeen greenhouse.Millis   `json:"first_seen"`
	LastSeen  greenhouse.Millis   `json:"last_seen"`
	Address   string              `json:"address,omitempty"`
	Via       string              `json:"via,omitempty" doc:"the account that speaks for it"`
	Type      greenhouse.NodeType `json:"type,omitempty" doc:"as its hello or its uid says"`
	Name      string              `json:"name,omitempty"`
	FW        string              `json:"fw,omitempty"`
	HW        string              `json:"hw,omitempty"`
	Declared  []DeclaredChannel   `json:"declared" doc:"channels of its hello"`
	Channels  []PendingChannel    `json:"channels" doc:"channels that nobody declared"`
	Errors    []PendingError      `json:"errors" doc:"why it was refused, the newest last"`
}

// PendingError is one reason for which a device was refused.
type PendingError struct {
	Code     string            `json:"code"`
	Text     string            `json:"text"`
	Count    uint64            `json:"count"`
	LastSeen greenhouse.Millis `json:"last_seen"`
}

// PendingChannel is a channel that nobody declared.
type PendingChannel struct {
	Name     greenhouse.ChannelName `json:"name"`
	Value    *float64               `json:"value"`
	Count    uint64                 `json:"count"`
	LastSeen greenhouse.Millis      `json:"last_seen"`
}

// AdoptRequest takes a pending device in. A device that is not in the registry is
// registered with what its hello said; of a node the undeclared channels are
// accepted, all of them or those named.
type AdoptRequest struct {
	Type     greenhouse.NodeType `json:"type,omitempty" doc:"needed where neither its hello nor its id says"`
	Name     string              `json:"name,omitempty"`
	Zone     greenhouse.ZoneID   `json:"zone,omitempty"`
	Channels []DeclaredChannel   `json:"channels,omitempty" doc:"of a node: those to accept; kind is sensor if absent"`
}
