"use strict";
// Swagger UI over this server's own description, and nothing else: no address in this page's can point it elsewhere,
// and no validator on the internet is asked.
const host = document.getElementById("docs");
SwaggerUIBundle({
  url: host.dataset.document,
  domNode: host,
  deepLinking: true,
  queryConfigEnabled: false,
  validatorUrl: null,
  persistAuthorization: false,
});
