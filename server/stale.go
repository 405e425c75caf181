package server

import (
	"encoding/json"
	"errors"
	"slices"

	"greenhouse"
	"greenhouse/api"
)

// sinceDepth is how many of the newest events are looked through for what was
// done to a record since somebody read it.
const sinceDepth = 1000

// unchanged refuses a write of another version than the stored one, inside the
// transaction of the write; had 0 checks nothing.
func unchanged(noun, id string, had, have uint64, current any) error {
	if had == 0 || had == have {
		return nil
	}
	return &greenhouse.StaleError{Noun: noun, ID: id, Had: had, Have: have, Current: current}
}

// unchangedNode is unchanged for a node, and unchangedPoint for a point, whose
// version covers its override.
func (s *Server) unchangedNode(w *write, n *greenhouse.Node, had uint64) error {
	return unchanged("node", string(n.UID), had, n.Version, w.look(s).node(n))
}

func (s *Server) unchangedPoint(w *write, p *greenhouse.Point, had uint64) error {
	return unchanged("point", string(p.ID), had, p.Version, w.look(s).point(p))
}

// since adds to a stale edit what others did to the record meanwhile.
func (s *Server) since(err error) error {
	var stale *greenhouse.StaleError
	if !errors.As(err, &stale) {
		return err
	}
	source := greenhouse.Source(stale.Noun + "/" + stale.ID)
	if stale.Noun == "site" {
		source = greenhouse.SiteSource
	}
	events, failed := s.Journal.Latest(sinceDepth)
	if failed != nil { // the error itself says enough
		return err
	}
	told := *stale
	told.Changes = nil
	for _, e := range events {
		var detail struct {
			Version       uint64
			Before, After map[string]json.RawMessage
		}
		if e.Source != source || json.Unmarshal(e.Detail, &detail) != nil || detail.Version <= stale.Had || len(detail.Before)+len(detail.After) == 0 {
			continue
		}
		told.Changes = append(told.Changes, api.Change{TS: e.TS, Code: e.Code, Actor: e.Actor, Before: detail.Before, After: detail.After})
	}
	slices.Reverse(told.Changes) // the journal gave the newest first
	return &told
}
