// The widgets' own files stand in this site, beside the script that draws them.
requirejs.config({ paths: {
  "@jupyter-widgets/html-manager/dist/libembed-amd": document.documentElement.dataset.content_root + "lib/widgets/libembed-amd",
} });
