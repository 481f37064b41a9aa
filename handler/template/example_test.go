package template_test

import (
	"errors"
	"fmt"
	"log"
	"time"

	"agentctl/handler"
	"agentctl/handler/template"
)

// The same value gets the escape of each place where it stands. So it cannot add
// a segment to the path, or a field to the JSON.
func ExampleCompile() {
	event := handler.NewUser(7, "purge", []byte(`{"name":"a/b \"c\""}`), time.Now())
	data := template.NewData(&event)

	for _, part := range []struct {
		text  string
		begin template.Context
	}{
		{"/products/{{.name}}?exact=true", template.InPath},
		{`{"product": {{.name}}, "event": "{{event.id}}"}`, template.InJSON},
	} {
		t, err := template.Compile(part.text, part.begin)
		if err != nil {
			log.Fatal(err)
		}
		text, err := t.Render(data)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(text)
	}
	// Output:
	// /products/a%2Fb%20%22c%22?exact=true
	// {"product": "a/b \"c\"", "event": "7-7a1a83b76d55890c"}
}

// An event that does not fit a template is a Misfit: another attempt would fail in
// the same way.
func ExampleTemplate_Render_misfit() {
	t, err := template.Compile("/products/{{.sku}}", template.InPath)
	if err != nil {
		log.Fatal(err)
	}
	event := handler.NewUser(7, "purge", []byte(`{"name":"teapot"}`), time.Now())

	_, err = t.Render(template.NewData(&event))
	if misfit, ok := errors.AsType[*template.Misfit](err); ok {
		fmt.Println("give up:", misfit)
	}
	// Output: give up: the event has no .sku
}
