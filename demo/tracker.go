package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"fitvault/shared/fault"
	"fitvault/shared/pairing"
	"fitvault/shared/pairing/label"
	"fitvault/shared/pairing/tracker"
)

const (
	namespace  = "demo" // of the maker: ids of his trackers begin with it
	model      = "band-2"
	deployment = "fitvault" // the local one's name, which trackers are made for
)

// showTracker pairs a new tracker in software with ada's account, and sends what it
// has signed. A new one each time: who made a tracker registers it once.
func (d *demo) showTracker(ctx context.Context) error {
	d.heading("A tracker, paired with " + owner + "'s account; it is a simulated one (shared/pairing/tracker)")
	if err := d.steps(ctx,
		step{"maker's namespace", d.giveNamespace},
		step{"tracker registered", d.registerTracker},
	); err != nil {
		return err
	}
	d.note("  Its QR code, as on the box: id, hash of its key, one-time code. The phone reads it after a press on the tracker.")
	d.block(d.code)
	return d.steps(ctx,
		step{"paired", d.pair},
		step{"signed upload", d.sendSigned},
		step{"altered upload", d.sendAltered},
	)
}

// giveNamespace lets the maker register trackers of one namespace. Another run has
// done so already, so that only what is missing is given.
func (d *demo) giveNamespace(ctx context.Context) (string, error) {
	path := "/identities/" + url.PathEscape(d.stack.Users[maker].Subject) + "/roles"
	var held struct {
		Roles         []string `json:"roles"`
		Organisations []string `json:"organisations"`
		Version       string   `json:"version"`
	}
	if err := d.administrator.send(ctx, http.MethodGet, path+"?pool=staff", nil, &held); err != nil {
		return "", err
	}
	if slices.Contains(held.Organisations, namespace) {
		return fmt.Sprintf("%s- is %s's already", namespace, maker), nil
	}
	err := d.administrator.send(ctx, http.MethodPut, path, map[string]any{
		"pool": "staff", "roles": held.Roles, "organisations": append(held.Organisations, namespace), "version": held.Version}, nil)
	return fmt.Sprintf("%s- is given to %s by %s, an administrator", namespace, maker, administrator), err
}

func (d *demo) registerTracker(ctx context.Context) (string, error) {
	root, err := d.stack.root()
	if err != nil {
		return "", err
	}
	var serial [6]byte
	if _, err := io.ReadFull(d.rand, serial[:]); err != nil {
		return "", advice{"there is no randomness", "", nil}
	}
	d.tracker, err = tracker.New(namespace+"-"+hex.EncodeToString(serial[:]), deployment, root, d.now, d.rand)
	if err != nil {
		return "", advice{"a tracker cannot be made", "", nil}
	}
	if d.label, err = pairing.ParseLabel(d.tracker.Label()); err != nil {
		return "", advice{"the tracker's label has a form that is not known here", "", nil}
	}
	if d.code, err = label.Terminal(d.label); err != nil {
		return "", advice{"the QR code cannot be drawn", "", nil}
	}
	err = d.maker.send(ctx, http.MethodPost, "/devices", map[string]string{
		"id": d.tracker.ID, "model": model, "public_key": base64url(d.tracker.PublicKey()), "code_hash": base64url(d.tracker.CodeHash())}, nil)
	return fmt.Sprintf("%s, by %s: its key, hash of its code", d.tracker.ID, maker), err
}

// pair is the phone between tracker and service. It can alter nothing unnoticed: both
// sides sign what they mean.
func (d *demo) pair(ctx context.Context) (string, error) {
	pressed, err := d.tracker.Press()
	if err != nil {
		return "", advice{"the tracker has no randomness", "", nil}
	}
	var begun struct {
		Pairing, Message, Signature, Certificate string
	}
	if err := d.api.send(ctx, http.MethodPost, "/pairings", map[string]string{
		"device": d.label.Device.String(), "nonce": base64url(pressed.Nonce), "code": d.label.Code.Text()}, &begun); err != nil {
		return "", err
	}
	var message [3][]byte
	for i, text := range []string{begun.Message, begun.Signature, begun.Certificate} {
		if message[i], err = base64.RawURLEncoding.DecodeString(text); err != nil {
			return "", unexpected("a pairing that is not base64url")
		}
	}
	signature, err := d.tracker.Answer(message[0], message[1], message[2])
	if err != nil {
		return "", advice{"the tracker does not trust the service", "its certificate is under another root; make up certifies the key again", err}
	}
	var paired struct{ ID, State string }
	if err := d.api.send(ctx, http.MethodPost, "/pairings/"+url.PathEscape(begun.Pairing)+"/confirm", map[string]string{"signature": base64url(signature)}, &paired); err != nil {
		return "", err
	}
	if paired.ID != d.tracker.ID || paired.State != "active" {
		return "", unexpected("another tracker was paired")
	}
	if err := d.tracker.Done(begun.Pairing); err != nil {
		return "", advice{"the tracker cannot keep its pairing", "", nil}
	}
	return "tracker and service each checked the other's signature", nil
}

// sendSigned sends what the tracker has signed; the phone could send it days later.
func (d *demo) sendSigned(ctx context.Context) (string, error) {
	var err error
	if d.signature, err = d.tracker.Sign(d.signedPoints); err != nil {
		return "", advice{"the tracker cannot sign", "", nil}
	}
	answer, err := d.api.call(ctx, http.MethodPost, "/users/me/readings", d.signedHeader(d.signature), d.signedPoints)
	if err != nil {
		return "", err
	}
	if err := allAccepted(answer, len(d.signed)); err != nil {
		return "", err
	}
	if _, _, err := d.readBack(ctx, d.api, "me", d.signed); err != nil {
		return "", err
	}
	return "steps and sleep, accepted, and read back as sent", nil
}

func (d *demo) signedHeader(signature string) map[string]string {
	return map[string]string{"Content-Type": "application/json", "Tracker-Signature": signature}
}

func (d *demo) sendAltered(ctx context.Context) (string, error) {
	altered := bytes.Replace(d.signedPoints, []byte("3214"), []byte("9214"), 1)
	return "9,214 for 3,214 steps: refused, " + told(fault.SignatureRefused),
		d.api.mustRefuse(ctx, fault.SignatureRefused, http.MethodPost, "/users/me/readings", d.signedHeader(d.signature), altered)
}

// unpair lets the tracker go: what it signs from now on is nobody's.
func (d *demo) unpair(ctx context.Context) (string, error) {
	if err := d.api.send(ctx, http.MethodDelete, "/users/me/devices/"+url.PathEscape(d.tracker.ID), nil, nil); err != nil {
		return "", err
	}
	signature, err := d.tracker.Sign(d.signedPoints)
	if err != nil {
		return "", advice{"the tracker cannot sign", "", nil}
	}
	return "its next signed upload: refused, " + told(fault.SignatureRefused),
		d.api.mustRefuse(ctx, fault.SignatureRefused, http.MethodPost, "/users/me/readings", d.signedHeader(signature), d.signedPoints)
}

// oldTrackers unpairs what a run that was stopped has left.
func (d *demo) oldTrackers(ctx context.Context) (n int, _ error) {
	var list struct{ Items []struct{ ID string } }
	if err := d.api.send(ctx, http.MethodGet, "/users/me/devices", nil, &list); err != nil {
		return 0, err
	}
	for _, t := range list.Items {
		if strings.HasPrefix(t.ID, namespace+"-") {
			if err := d.api.send(ctx, http.MethodDelete, "/users/me/devices/"+url.PathEscape(t.ID), nil, nil); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// told is a refusal in a few characters.
func told(kind fault.Kind) string { return fmt.Sprintf("%d %s", kind.Status(), kind) }

// allAccepted reads an answer to data points: n results, each accepted.
func allAccepted(answer []byte, n int) error {
	var a struct {
		Results []struct {
			Status  string `json:"status"`
			Pointer string `json:"pointer"`
			Rule    string `json:"rule"`
		} `json:"results"`
	}
	if json.Unmarshal(answer, &a) != nil || len(a.Results) != n {
		return unexpected("not a result for each data point")
	}
	for i, r := range a.Results {
		if r.Status != "accepted" {
			return unexpected(fmt.Sprintf("data point %d breaks rule %s at %q", i, r.Rule, r.Pointer))
		}
	}
	return nil
}
