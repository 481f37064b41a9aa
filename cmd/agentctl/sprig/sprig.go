// Package sprig stands in for github.com/Masterminds/sprig/v3, as far as the packages
// named cli need it: they offer its functions to the templates of help texts.
//
// No command of ours or of serf has a template that calls one. And what sprig imports
// compiles regular expressions as it is initialised, which took a tenth of the time of a
// short command. So go.mod replaces it with this.
package sprig

import "text/template"

// TxtFuncMap returns no functions.
func TxtFuncMap() template.FuncMap { return nil }
