package store

// Migration is a step of the schema, for tests that invent some.
type Migration struct {
	To   int
	What string
	Run  func(*Tx) error
}

// OpenAs opens a registry as a program would whose schema is version.
func OpenAs(opt Options, version int, steps ...Migration) (*Store, error) {
	s, err := Open(opt)
	if err != nil {
		return nil, err
	}
	list := []migration{}
	for _, m := range steps {
		list = append(list, migration(m))
	}
	if err := s.migrateAndReload(version, list); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// Schema returns the schema version of the file.
func (s *Store) Schema() (int, error) { return s.schema() }

// Rewrite writes all pages of a file back.
func Rewrite(path string) error { return rewrite(path) }
