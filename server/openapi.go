package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// written returns a registry that describes every body, for people.
func written() huma.Registry {
	return huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
}

// undescribed is the registry of the API that is served. Nothing looks at the
// schemas of bodies, which decodeStrict decodes, so that bodies are all alike to it:
// to describe each would cost every daemon two megabytes for a page that is seldom
// read.
type undescribed struct{ huma.Registry }

// Schema describes parameters, and of bodies says that they are there.
func (u undescribed) Schema(t reflect.Type, allowRef bool, hint string) *huma.Schema {
	of := t
	for k := of.Kind(); k == reflect.Pointer || k == reflect.Slice || k == reflect.Array || k == reflect.Map; k = of.Kind() {
		of = of.Elem()
	}
	if of.Kind() == reflect.Struct {
		return &huma.Schema{Type: huma.TypeObject}
	}
	return u.Registry.Schema(t, allowRef, hint)
}

// openapi describes the API. It is mounted anew for that, where nobody calls it, and
// forgotten.
func (s *Server) openapi(context.Context, *none) (*streamed, error) {
	m, err := s.mount(http.NewServeMux(), written())
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(m.api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("write OpenAPI: %w", err)
	}
	return &streamed{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
		_, _ = hc.BodyWriter().Write(text) // the client may be gone; nobody is left to tell
	}}, nil
}
