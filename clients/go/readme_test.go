package recarena

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestTheReadmeShowsTheExampleAsItIs(t *testing.T) {
	example := contents(t, "examples/popular/main.go")
	if !strings.Contains(contents(t, "README.md"), "```go\n"+example+"```") {
		t.Error("README.md quotes another examples/popular/main.go")
	}
}

func TestTheReadmeNamesAllThatIsPublic(t *testing.T) {
	readme := contents(t, "README.md")
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		for _, name := range public(t, file.Name()) {
			if !regexp.MustCompile("`" + name + `\b`).MatchString(readme) {
				t.Errorf("README.md does not name %s", name)
			}
		}
	}
}

// public is the exported functions, types, variables, constants and interface methods of a file.
func public(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	add := func(found ...*ast.Ident) {
		for _, one := range found {
			if one.IsExported() {
				names = append(names, one.Name)
			}
		}
	}
	for _, declaration := range file.Decls {
		switch one := declaration.(type) {
		case *ast.FuncDecl:
			if one.Recv == nil {
				add(one.Name)
			}
		case *ast.GenDecl:
			for _, spec := range one.Specs {
				switch one := spec.(type) {
				case *ast.ValueSpec:
					add(one.Names...)
				case *ast.TypeSpec:
					add(one.Name)
					if methods, ok := one.Type.(*ast.InterfaceType); ok {
						for _, method := range methods.Methods.List {
							add(method.Names...)
						}
					}
				}
			}
		}
	}
	return names
}

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
