// Package webpage serves the web client: static files that are part of this program, and one small document that says
// which exchange serves them.
//
//	p, err := webpage.New(webpage.Config{Listen: "127.0.0.1:8080", About: about, Log: log})
//	go p.Run(ctx)            // listens, and tries again where it cannot
//	url, problem := p.State()
//
// Nothing here acts, reads a disk or knows a secret: whoever reaches the port can read what the repository and the
// relays tell everybody. So a foreign Host header (DNS rebinding) gains nothing, and is let through, as a reverse proxy
// or an onion service needs. What is guarded is the page in the visitor's browser, by the headers in headers.go: no
// script but its own, no frame around it, no form, no referrer.
//
// The folder dist holds what `make web` builds; the page in it that needs no build says how. Go files: files.go is the
// files with their types, tags and compressed copies, handler.go answers a request, server.go is the port with its
// limits.
package webpage
