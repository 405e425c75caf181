package server

import (
	"context"

	"greenhouse"
	"greenhouse/api"
)

// mountSim serves the simulated greenhouse; where there is none its routes say so.
func (s *Server) mountSim(m *mount) {
	handle(m, "sim-get", s.getSim)
	handle(m, "sim-fault-list", s.listFaults)
	handle(m, "sim-fault-inject", s.injectFault)
	handle(m, "sim-fault-clear", s.clearFault)
	handle(m, "sim-fault-clear-all", s.clearFaults)
}

// simulated refuses outside the demo.
func (s *Server) simulated() error {
	if s.Sim != nil {
		return nil
	}
	return &greenhouse.Error{Kind: greenhouse.ErrNotFound, Code: "not_simulated", What: "this daemon runs a real greenhouse, nothing here is simulated", Hint: "edged demo starts a simulated one"}
}

func (s *Server) getSim(context.Context, *none) (*out[api.Sim], error) {
	if err := s.simulated(); err != nil {
		return nil, err
	}
	sim := s.Sim.Sim()
	sim.Nodes, sim.Faults, sim.Known = orEmpty(sim.Nodes), orEmpty(sim.Faults), orEmpty(sim.Known)
	return &out[api.Sim]{Body: sim}, nil
}

// orEmpty makes a list that is never null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (s *Server) listFaults(context.Context, *none) (*out[api.List[api.SimFault]], error) {
	if err := s.simulated(); err != nil {
		return nil, err
	}
	return &out[api.List[api.SimFault]]{Body: api.List[api.SimFault]{Items: orEmpty(s.Sim.Sim().Faults)}}, nil
}

func (s *Server) injectFault(ctx context.Context, in *struct {
	WriteParams
	Body api.SimFaultRequest
}) (*out[api.SimFault], error) {
	if err := s.simulated(); err != nil {
		return nil, err
	}
	return change(ctx, s, in.WriteParams, "sim-fault-inject", in.Body, func(w *write) (api.SimFault, error) {
		if in.DryRun {
			return api.SimFault{Name: in.Body.Name, Target: in.Body.Target, Value: in.Body.Value}, nil
		}
		f, err := s.Sim.Inject(in.Body)
		if err == nil {
			w.event("fault_injected", greenhouse.SiteSource, nil, f, nil)
		}
		return f, err
	})
}

func (s *Server) clearFault(ctx context.Context, in *struct {
	IDParam
	WriteParams
}) (*out[api.Done], error) {
	return s.clear(ctx, in.WriteParams, in.ID)
}

func (s *Server) clearFaults(ctx context.Context, in *WriteParams) (*out[api.Done], error) {
	return s.clear(ctx, *in, "")
}

func (s *Server) clear(ctx context.Context, p WriteParams, id string) (*out[api.Done], error) {
	if err := s.simulated(); err != nil {
		return nil, err
	}
	return change(ctx, s, p, "sim-fault-clear", id, func(w *write) (api.Done, error) {
		if p.DryRun {
			return api.Done{OK: true}, nil
		}
		if err := s.Sim.Clear(id); err != nil {
			return api.Done{}, err
		}
		w.event("fault_cleared", greenhouse.SiteSource, nil, nil, map[string]string{"id": id})
		return api.Done{OK: true}, nil
	})
}
