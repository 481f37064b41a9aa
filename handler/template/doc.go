// Package template makes texts from events that the event cannot break out of.
//
// A [Template] is a part of a request: a method, a path and query, a header's
// value, or a JSON body. It is Go's text/template with a few functions less and
// a few more; handler/target/PRESETS.md has the reference for operators. As
// html/template does for HTML, [Compile] follows the fixed text and knows the
// [Context] in which each placeholder stands. It ends each placeholder with the
// escape of that context. So a value stays within its segment of the path, its part
// of the query, its header, its quotes or its JSON value, whatever bytes it has.
//
// A template does not compile if the context of a placeholder is unknown, or
// depends on a branch. An event can never choose the method or the host: these come
// from the template's own text.
//
// Not every event fits every template. A value may be missing, or cannot stand in
// its context, or the result is too long: more than 8 KiB, or 8 MiB for a JSON body.
// Or a text is not UTF-8, or has half of a surrogate pair: decoded, it would be another.
// Then Render makes nothing, and fails with a [*Misfit] that tells the operator why.
//
// Nothing here blocks, and nothing is remembered from one event to the next. A
// Template is safe for concurrent use; a [Data] belongs to one goroutine.
package template
