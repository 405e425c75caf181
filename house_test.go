package greenhouse_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// room is one package of the house: its level, and what may not be said of it.
type room struct {
	level int
	why   string
}

// rooms is the table of ARCHITECTURE.md: imports go down only, and rooms of one
// level are strangers to each other.
func rooms() map[string]room {
	return map[string]room{
		"":             {0, "the nouns depend on nothing, so that everything may depend on them"},
		"wire":         {1, "what devices say: pure, so that broker, sim and adapters decode alike"},
		"api":          {1, "what clients say: shapes without behaviour, so that client and server cannot drift"},
		"store":        {2, "the registry file: the only writer of records"},
		"telemetry":    {2, "readings in order: owns its own files"},
		"automation":   {2, "pure decisions: must not know how anything is done or kept"},
		"actuation":    {2, "the safety envelope: must not depend on what it limits"},
		"journal":      {2, "events and alarms: written inside other rooms' transactions, through an interface of its own"},
		"fleet":        {2, "presence and configuration of nodes: knows neither broker nor registry"},
		"pki":          {2, "keys and certificates: whoever listens takes a tls.Config and knows no files"},
		"broker":       {3, "the only room that knows mochi"},
		"adapter":      {3, "devices that speak something else"},
		"server":       {3, "HTTP: handlers of api over the rooms below"},
		"client":       {3, "the typed client: must not pull the daemon into greenctl"},
		"tui":          {4, "the dashboard: knows the daemon only through its Source"},
		"sim":          {4, "a greenhouse that obeys physics"},
		"edge":         {4, "the composition root"},
		"cmd/edged":    {5, "flags, config file, signals"},
		"cmd/greenctl": {5, "flags, config file, signals"},
	}
}

// confined names modules that only some rooms may import, and why.
func confined() map[string][]string {
	return map[string][]string{
		"go.etcd.io/bbolt":              {"store", "telemetry"},           // two files formats, two rooms
		"github.com/mochi-mqtt/server/": {"broker"},                       // its faults are closed in one place
		"charm.land/bubbletea":          {"tui"},                          // a CLI verb must not grow a screen of its own
		"github.com/spf13/viper":        {"cmd/edged", "cmd/greenctl"},    // rooms take Options, not configuration
		"github.com/spf13/cobra":        {"cmd/edged", "cmd/greenctl"},    // as above
		"github.com/danielgtaylor/huma": {"server"},                       // the client needs none of it
		"github.com/eclipse/paho":       {"sim"},                          // the daemon is a broker, never a client
		"github.com/prometheus/":        {"server"},                       // rooms offer plain statistics
		"golang.org/x/crypto":           {"store"},                        // hashes of passwords, beside the records that hold them
		"github.com/parquet-go/":        {"cmd/greenctl"},                 // an export for others: nothing here is kept in it
		"github.com/klauspost/compress": {"telemetry", "store", "server"}, // storage formats only
	}
}

// pureFiles are the files outside levels 0 and 1 that decide without a clock.
func pureFiles() []string {
	return []string{"automation/", "actuation/arbitrate.go", "actuation/protect.go", "fleet/presence.go", "sim/motor", "sim/plant", "sim/weather", "sim/sensor"}
}

// source is one parsed file outside the tests.
type source struct {
	room string
	name string
	file *ast.File
}

// parseHouse reads every Go file of the module, tests excluded.
func parseHouse(t *testing.T) ([]source, *token.FileSet) {
	t.Helper()
	fset := token.NewFileSet()
	var all []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && p != "." || d.Name() == "testdata" || d.Name() == "third_party" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(p))
		if dir == "." {
			dir = ""
		}
		all = append(all, source{dir, filepath.ToSlash(p), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, fset
}

func TestImportsGoDown(t *testing.T) {
	files, _ := parseHouse(t)
	house := rooms()
	for _, f := range files {
		here, known := house[f.room]
		if !known && !strings.HasPrefix(f.room, "bench") {
			t.Errorf("%s: room %q is not in the table of the house", f.name, f.room)
			continue
		}
		for _, spec := range f.file.Imports {
			p := strings.Trim(spec.Path.Value, `"`)
			if dep, ours := strings.CutPrefix(p+"/", "greenhouse/"); ours {
				dep = strings.TrimSuffix(dep, "/")
				if there := house[dep]; known && there.level >= here.level {
					t.Errorf("%s (level %d) imports %s (level %d): imports go down only; %s", f.name, here.level, p, there.level, here.why)
				}
				continue
			}
			if f.room == "" && strings.Contains(strings.SplitN(p, "/", 2)[0], ".") {
				t.Errorf("%s imports %s: the root imports the standard library only", f.name, p)
			}
			for prefix, allowed := range confined() {
				if strings.HasPrefix(p, prefix) && !slices.Contains(allowed, f.room) {
					t.Errorf("%s imports %s, which belongs in %v only", f.name, p, allowed)
				}
			}
		}
	}
}

func TestEveryRoomHasAPageOfProse(t *testing.T) {
	files, _ := parseHouse(t)
	docs := map[string]string{}
	for _, f := range files {
		docs[f.room] += f.file.Doc.Text()
	}
	for r, doc := range docs {
		if len(doc) < 200 {
			t.Errorf("room %q: its package documentation has %d bytes; say in doc.go what it is for, what it owns and what may run at once", r, len(doc))
		}
	}
}

func TestNoHiddenState(t *testing.T) {
	files, fset := parseHouse(t)
	for _, f := range files {
		for _, decl := range f.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					t.Errorf("%s: no init(): say it where it is needed", fset.Position(d.Pos()))
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if v, ok := s.(*ast.ValueSpec); ok && d.Tok == token.VAR && !constant(f, d, v) {
						t.Errorf("%s: package variable %s can change: make it a function, a constant or a field", fset.Position(v.Pos()), v.Names[0].Name)
					}
				}
			}
		}
	}
}

// constant reports whether a package variable is one in name only: a sentinel
// error, a compiled expression, an interface check, an embedded file, or the
// version that the linker sets in a command.
func constant(f source, d *ast.GenDecl, v *ast.ValueSpec) bool {
	if v.Names[0].Name == "_" || strings.HasPrefix(f.room, "cmd/") && v.Names[0].Name == "version" {
		return true
	}
	for _, c := range []*ast.CommentGroup{v.Doc, d.Doc} {
		if c != nil && strings.HasPrefix(c.List[len(c.List)-1].Text, "//go:embed ") { // a directive: Text leaves it out
			return true
		}
	}
	if len(v.Values) == 0 {
		return false
	}
	for _, val := range v.Values {
		call, ok := val.(*ast.CallExpr)
		if !ok {
			return false
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		switch pkg, _ := sel.X.(*ast.Ident); {
		case pkg == nil:
			return false
		case pkg.Name == "errors" && sel.Sel.Name == "New", pkg.Name == "fmt" && sel.Sel.Name == "Errorf", pkg.Name == "regexp" && sel.Sel.Name == "MustCompile":
		default:
			return false
		}
	}
	return true
}

func TestPureFilesHaveNoClock(t *testing.T) {
	files, fset := parseHouse(t)
	house := rooms()
	for _, f := range files {
		pure := house[f.room].level <= 1
		for _, p := range pureFiles() {
			pure = pure || strings.HasPrefix(f.name, p)
		}
		if !pure || path.Base(f.name) == "loop.go" {
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "NewTimer", "NewTicker", "Sleep"}, sel.Sel.Name) {
					t.Errorf("%s: time.%s in a pure file: take now as an argument", fset.Position(sel.Pos()), sel.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	files, fset := parseHouse(t)
	for _, f := range files {
		if strings.HasPrefix(f.room, "cmd/") {
			continue
		}
		for _, decl := range f.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || exportedReceiver(d.Recv)) {
					t.Errorf("%s: %s has no documentation", fset.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
							t.Errorf("%s: %s has no documentation", fset.Position(s.Pos()), s.Name.Name)
						}
					case *ast.ValueSpec:
						if s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
							t.Errorf("%s: %s has no documentation", fset.Position(s.Pos()), s.Names[0].Name)
						}
					}
				}
			}
		}
	}
}

func exportedReceiver(r *ast.FieldList) bool {
	t := r.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if ix, ok := t.(*ast.IndexExpr); ok {
		t = ix.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}

func TestNothingIsTooLong(t *testing.T) {
	const maxFunc, maxFile = 80, 500
	files, fset := parseHouse(t)
	for _, f := range files {
		if n := fset.File(f.file.Pos()).LineCount(); n > maxFile {
			t.Errorf("%s has %d lines, more than %d: give its second purpose a file of its own", f.name, n, maxFile)
		}
		for _, decl := range f.file.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok {
				if n := fset.Position(d.End()).Line - fset.Position(d.Pos()).Line + 1; n > maxFunc {
					t.Errorf("%s: %s has %d lines, more than %d", fset.Position(d.Pos()), d.Name.Name, n, maxFunc)
				}
			}
		}
	}
}
