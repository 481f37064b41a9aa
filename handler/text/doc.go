// Package text makes words that strangers chose fit to be shown and sent.
//
// Names, payloads and answers may hold any bytes. [Excerpt] cuts them and
// escapes what a terminal or a log line cannot carry. [Printable], [NotInHeader]
// and [IsToken] tell whether a text may stand in a status page, a header or a
// request line as it is. Nothing here blocks, fails or keeps state, so all of it
// is safe for concurrent use.
package text
