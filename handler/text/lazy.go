package text

import (
	"regexp"
	"sync"
)

// LazyRegexp returns a function that gives the regular expression, which must be a
// valid one. It is compiled when first asked for: variables of packages are made at the
// start of every command, most of which need few of them, and a compiled expression
// takes kilobytes.
func LazyRegexp(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
