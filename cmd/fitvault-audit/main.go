// Command fitvault-audit checks a copy of the audit log. It needs the copy and
// the log's public key, no network, no account and no trust in who runs the log.
package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"fitvault/shared/auditlog/verify"
)

const help = `fitvault-audit checks a copy of fitvault's audit log.

  fitvault-audit -key KEY [-kept FILE]... FOLDER
  fitvault-audit -origin NAME -public FILE

THE LOG  Every access to somebody's data is an event, and every event is an entry
in an append-only Merkle tree. The log's key signs checkpoints: "this log had N
entries, and this hash". Who has one checkpoint can find out whether anything
before it was changed later. The log is kept as plain files, in the form of
c2sp.org/tlog-tiles, so that this command is not the only one that can check it.

THE COPY  FOLDER holds the objects of the bucket AuditLog, as they are:

  aws s3 sync s3://BUCKET FOLDER --exclude 'staging/*'

Objects that are newer than the checkpoint in the copy are told as "beyond the
newest checkpoint": entries were added while you copied. Copy again.

THE KEY  A line such as fitvault.example/audit/NAME+1a2b3c4d+AbCd…, or a file that
holds it. Get it once, from somebody whom you believe, and keep it: who chooses
your key chooses what you believe. It is made of the log's KMS key by

  aws kms get-public-key --key-id ALIAS --query PublicKey --output text | base64 -d >public.der
  fitvault-audit -origin fitvault.example/audit/NAME -public public.der

CHECKPOINTS THAT YOU KEPT  -kept FILE may be given many times. Keep the file
"checkpoint" of each of your copies, somewhere else than the log: with it a log
that was made anew as a whole, with its own key, is found out too.

WHAT IS CHECKED
  every checkpoint is signed by the key, and all of them, with those that you
  kept, are of one tree that has only grown: nothing was altered, left out, put
  in, put into another order or cut off since the oldest of them;
  every tile of hashes, partial ones too, is what the entries make of it;
  every sealed event is the one that its entry stands for;
  nothing else lies in the folder.

WHAT IS NOT
  whether an event that was never written should have been; what the events say
  (they are sealed: the API shows them to auditors, GET /audit/entries); whether
  the newest checkpoint is the newest that there is: compare it with the API's
  (GET /audit/checkpoint) and with what others have.

STATUS  0: all is as it must be. 1: something is not; each finding is a line,
the object and what is wrong. 2: it could not be checked.
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// list is a flag that may be given many times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func run(args []string, out, problems io.Writer) int {
	flags := flag.NewFlagSet("fitvault-audit", flag.ContinueOnError)
	flags.SetOutput(problems)
	flags.Usage = func() { _, _ = io.WriteString(problems, help) }
	var kept list
	key := flags.String("key", "", "")
	origin := flags.String("origin", "", "")
	public := flags.String("public", "", "")
	flags.Var(&kept, "kept", "")
	if err := flags.Parse(args); err != nil {
		if err == flag.ErrHelp { //nolint:errorlint // it is returned as it is
			return 0
		}
		return 2
	}
	say := func(err error) int {
		_, _ = fmt.Fprintln(problems, "fitvault-audit:", err)
		return 2
	}
	switch {
	case *origin != "" && *public != "" && *key == "" && flags.NArg() == 0:
		vkey, err := vkeyOf(*origin, *public)
		if err != nil {
			return say(err)
		}
		_, _ = fmt.Fprintln(out, vkey)
		return 0
	case *key == "" || *origin != "" || *public != "" || flags.NArg() != 1:
		_, _ = fmt.Fprintln(problems, "fitvault-audit: a key and a folder are needed; -help explains")
		return 2
	}
	report, err := check(*key, kept, flags.Arg(0))
	if err != nil {
		return say(err)
	}
	for _, f := range report.Findings {
		_, _ = fmt.Fprintln(out, f)
	}
	if len(report.Findings) > 0 {
		_, _ = fmt.Fprintf(out, "NOT AS IT MUST BE: %d findings in %d objects\n", len(report.Findings), report.Objects)
		return 1
	}
	_, _ = fmt.Fprintf(out, "as it must be: %d entries, hash %v, %d checkpoints, %d objects\n", report.Tree.N, report.Tree.Hash, report.Checkpoints, report.Objects)
	return 0
}

// vkeyOf makes a note's verifier key of a public key in DER, as KMS gives it.
func vkeyOf(origin, file string) (string, error) {
	der, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return "", fmt.Errorf("%s is no public key in DER", file)
	}
	public, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return "", fmt.Errorf("%s is no Ed25519 key", file)
	}
	return note.NewEd25519VerifierKey(origin, public)
}

func check(key string, kept []string, folder string) (verify.Report, error) {
	if text, err := os.ReadFile(key); err == nil {
		key = strings.TrimSpace(string(text))
	}
	log, err := note.NewVerifier(key)
	if err != nil {
		return verify.Report{}, fmt.Errorf("the key is neither a verifier key nor a file that holds one: %w", err)
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return verify.Report{}, fmt.Errorf("%s is no folder", folder)
	}
	var checkpoints []verify.Kept
	for _, name := range kept {
		signed, err := os.ReadFile(name)
		if err != nil {
			return verify.Report{}, err
		}
		checkpoints = append(checkpoints, verify.Kept{Name: "kept " + name, Signed: signed})
	}
	return verify.Log(os.DirFS(folder), log, checkpoints...)
}
