package main

import (
	"embed"
	"io/fs"
	"path"
	"strings"

	"greenhouse"
	"greenhouse/api"
)

// examples are recipes to begin with; the compiler writes it, and nobody after.
//
//go:embed recipes/*.yaml
var examples embed.FS

// recipeExamples returns the names of the examples.
func recipeExamples() []string {
	var found []string
	files, err := fs.Glob(examples, "recipes/*.yaml")
	if err != nil {
		return nil // the pattern is right
	}
	for _, f := range files {
		found = append(found, strings.TrimSuffix(path.Base(f), ".yaml"))
	}
	return found
}

// recipeSource reads a recipe from a file or from the examples. A file holds the
// recipe alone, or a document of kind Recipe, which must then name the same one.
func (a *app) recipeSource(id greenhouse.RecipeID, file, example string) (api.RecipeSpec, error) {
	var data []byte
	var err error
	switch {
	case (file == "") == (example == ""):
		return api.RecipeSpec{}, greenhouse.Invalid("usage", "a recipe comes from -f FILE or from --example NAME").WithHint("the examples are %s", strings.Join(recipeExamples(), ", "))
	case example != "":
		if data, err = examples.ReadFile("recipes/" + example + ".yaml"); err != nil {
			return api.RecipeSpec{}, greenhouse.NotFound("example", example).WithHint("the examples are %s", strings.Join(recipeExamples(), ", "))
		}
	default:
		if data, err = a.readFile(file); err != nil {
			return api.RecipeSpec{}, err
		}
	}
	return readRecipe(id, file, data)
}

// recipeDocument is a recipe as apply and export write it.
type recipeDocument struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec api.RecipeSpec `json:"spec"`
}

// readRecipe reads a recipe; file is "" for an example, which may take any id.
func readRecipe(id greenhouse.RecipeID, file string, data []byte) (api.RecipeSpec, error) {
	d, err := parseDocument(file, data)
	if err != nil {
		return api.RecipeSpec{}, err
	}
	root := d.root()
	if field(root, "kind") == nil {
		var spec api.RecipeSpec
		err := d.decode(root, &spec)
		return spec, err
	}
	var doc recipeDocument
	if err := d.decode(root, &doc); err != nil {
		return doc.Spec, err
	}
	switch {
	case doc.Kind != "Recipe":
		return doc.Spec, d.refuse(field(root, "kind"), "kind is %q: it is Recipe here", doc.Kind)
	case doc.APIVersion != apiVersion:
		return doc.Spec, d.refuse(root, "apiVersion is %q: it is %s", doc.APIVersion, apiVersion)
	case file != "" && doc.Metadata.Name != string(id):
		return doc.Spec, d.refuse(root, "metadata.name is %q, and the recipe is to be %s", doc.Metadata.Name, id)
	}
	return doc.Spec, nil
}
