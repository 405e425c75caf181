package server

// HoldHashing takes the one turn at checking passwords, until release is called.
func (s *Server) HoldHashing() (release func()) {
	s.hash <- struct{}{}
	return s.hash.leave
}
