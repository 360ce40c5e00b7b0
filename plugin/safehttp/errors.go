package safehttp

import (
	"errors"
	"fmt"
)

// What can go wrong, to be told apart with errors.Is. A *StatusError is the one other kind; what ends the caller's ctx
// comes back as the ctx's own error.
var (
	ErrURL      = errors.New("URL not allowed")
	ErrNoProxy  = errors.New("an onion service needs a proxy")
	ErrResolve  = errors.New("name not resolved")
	ErrAddress  = errors.New("address not public")
	ErrConnect  = errors.New("no connection") // TCP, proxy, TLS or HTTP below the level of a status
	ErrTimeout  = errors.New("out of time")
	ErrRedirect = errors.New("redirected")
	ErrTooLarge = errors.New("answer too large")
	ErrJSON     = errors.New("answer is not the JSON that was expected")
)

// StatusError is an answer with a status other than 2xx; redirects are ErrRedirect.
type StatusError struct{ Code int }

func (e *StatusError) Error() string { return fmt.Sprintf("HTTP status %d", e.Code) }
