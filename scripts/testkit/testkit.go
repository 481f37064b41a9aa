package testkit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Strange is a payload that careless code breaks: Kong's own script runs the
// part behind "]=]" as Lua.
const Strange = "{\"a\":\"]=]..os.exit()..[=[\"}\x00\xff\xfe'\"\\ \t\r\n$(id)`id`%41\n\n"

func Want[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got\n%s", what, diff)
	}
}
