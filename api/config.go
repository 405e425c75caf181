package api

import "greenhouse"

// ConfigRevision is a configuration that a node was to have, and what became of it.
type ConfigRevision struct {
	Rev        uint64                  `json:"rev"`
	Hash       string                  `json:"hash"`
	At         greenhouse.Millis       `json:"at"`
	By         string                  `json:"by" doc:"whose change made it"`
	Of         uint64                  `json:"of,omitempty" doc:"the earlier revision it brought back"`
	Status     greenhouse.ConfigStatus `json:"status" doc:"what the node said of it: pending, applied or rejected"`
	Error      string                  `json:"error,omitempty" doc:"the node's reason for rejecting it"`
	ReportedAt greenhouse.Millis       `json:"reported_at" doc:"when it said so; 0: never"`
	IntervalS  int                     `json:"interval_s"`
	LinkLossS  int                     `json:"link_loss_s"`
	Channels   []RevisionChannel       `json:"channels"`
}

// RevisionChannel is what a configuration says of one channel.
type RevisionChannel struct {
	Name    greenhouse.ChannelName `json:"name"`
	Kind    greenhouse.Kind        `json:"kind"`
	Safe    float64                `json:"safe"`
	MaxOnS  int                    `json:"max_on_s,omitempty"`
	MinOffS int                    `json:"min_off_s,omitempty"`
	Cal     *greenhouse.Linear     `json:"cal,omitempty"`
}

// RollBackRequest brings an earlier configuration of a node back, as a new revision.
type RollBackRequest struct {
	Rev uint64 `json:"rev"`
}
