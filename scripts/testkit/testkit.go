// Package testkit has the helpers that the tests of several packages share. It
// imports none of the packages under test, so that their internal tests can use it
// too. Packages journals and disks beside it have the helpers that need a journal.
package testkit

import (
	"context"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Want reports an error with a diff unless got equals want.
func Want[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got\n%s", what, diff)
	}
}

// MustSync waits until a journal's file has all that the journal was told, and
// ends the test if that fails.
func MustSync(t testing.TB, d interface{ Sync(context.Context) error }) {
	t.Helper()
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// MustClose closes, and reports an error if that fails.
func MustClose(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Strange is a payload that careless code breaks: Kong's own script runs the
// part behind "]=]" as Lua.
const Strange = "{\"a\":\"]=]..os.exit()..[=[\"}\x00\xff\xfe'\"\\ \t\r\n$(id)`id`%41\n\n"
