package main

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"net/url"

	"fitvault/shared/edge"
)

const resource = "/authorize"

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.js
	pageJS []byte
	//go:embed page.css
	pageCSS []byte
)

// page is what the page is told of the deployment: the same for everybody, and public.
type page struct {
	Client string // the page's own, at which people sign in for it
	Key    string // its API key: whoever opens the page can read it
	SignIn string // address of the user pool's hosted pages, without a path
}

// documents are the page and its parts. Of a request nothing is put into them, so
// nothing of a request can become a part of the page before its script has it as text.
func (p page) documents() ([]edge.Document, error) {
	u, err := url.Parse(p.SignIn)
	if err != nil || u.Scheme+"://"+u.Host != p.SignIn || u.Host == "" {
		return nil, errors.New("address of the hosted pages is not a bare origin")
	}
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, err
	}
	headers := map[string]string{
		// No script but ours and none in the text, no text that becomes markup, no frame
		// around it, no form; it speaks to us and to the pool.
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' " + p.SignIn +
			"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
		"X-Frame-Options":              "DENY",
		"Referrer-Policy":              "no-referrer", // its own address holds codes and what an app has asked for
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
	}
	return []edge.Document{
		{Resource: resource, Body: b.Bytes(), Type: "text/html; charset=utf-8", Headers: headers},
		{Resource: resource + "/page.js", Body: pageJS, Type: "text/javascript; charset=utf-8", Headers: headers},
		{Resource: resource + "/page.css", Body: pageCSS, Type: "text/css; charset=utf-8", Headers: headers},
	}, nil
}
